#include "database/mariadb/timeline/store.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "core/check.h"
#include "core/error.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr int kBusyTimeoutMs = 10'000;

}  // namespace

Store::Store(std::string path) : path_(std::move(path)) {
    int code =
        sqlite3_open_v2(path_.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    if (code != SQLITE_OK) {
        std::string message = fmt::format("timeline {}: {}", path_, sqlite3_errstr(code));
        sqlite3_close(db_);
        throw Error(ErrorKind::io, message);
    }
    chmod(path_.c_str(), 0600);  // it holds statements with their values
    sqlite3_busy_timeout(db_, kBusyTimeoutMs);
}
Store::~Store() { sqlite3_close(db_); }

void Store::execute(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
}
int64_t Store::last_row() const { return sqlite3_last_insert_rowid(db_); }

void Store::fail(std::string_view what) const {
    int code = sqlite3_errcode(db_);
    ErrorKind kind = code == SQLITE_FULL                               ? ErrorKind::no_space
                     : code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? ErrorKind::corrupt
                                                                       : ErrorKind::io;
    throw Error(kind,
                fmt::format("timeline {}: {}: {}", path_, what.substr(0, 60), sqlite3_errmsg(db_)));
}

StoreQuery::StoreQuery(Store& store, std::string_view sql) : store_(store) {
    if (sqlite3_prepare_v2(store.handle(), sql.data(), static_cast<int>(sql.size()), &statement_,
                           nullptr) != SQLITE_OK)
        store.fail(sql);
}
StoreQuery::~StoreQuery() { sqlite3_finalize(statement_); }

StoreQuery& StoreQuery::bind(std::string_view text) {
    CHECK(sqlite3_bind_text(statement_, next_++, text.data(), static_cast<int>(text.size()),
                            SQLITE_TRANSIENT) == SQLITE_OK);
    return *this;
}
StoreQuery& StoreQuery::bind(int64_t number) {
    CHECK(sqlite3_bind_int64(statement_, next_++, number) == SQLITE_OK);
    return *this;
}
bool StoreQuery::step() {
    int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) store_.fail(sqlite3_sql(statement_));
    return code == SQLITE_ROW;
}
void StoreQuery::run() {
    while (step()) {
    }
    reset();
}
void StoreQuery::reset() {
    sqlite3_reset(statement_);
    next_ = 1;
}
int64_t StoreQuery::number(int column) const { return sqlite3_column_int64(statement_, column); }
std::string StoreQuery::text(int column) const {
    const unsigned char* text = sqlite3_column_text(statement_, column);
    if (text == nullptr) return {};
    return {reinterpret_cast<const char*>(text),
            static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

}  // namespace sevenfold::database::mariadb
