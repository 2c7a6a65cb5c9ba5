#include "catalog/catalog.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "core/check.h"
#include "core/error.h"
#include "os/file.h"

namespace sevenfold::catalog {
namespace {

constexpr int kBusyTimeoutMs = 10'000;
constexpr int kSchemaVersion = 1;
constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS run (
    number INTEGER PRIMARY KEY,
    job TEXT NOT NULL, source TEXT NOT NULL, place TEXT NOT NULL,
    started TEXT NOT NULL, ended TEXT NOT NULL,
    succeeded INTEGER NOT NULL, error TEXT NOT NULL, snapshot TEXT NOT NULL,
    files INTEGER NOT NULL, bytes INTEGER NOT NULL, bytes_stored INTEGER NOT NULL,
    unreadable INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS run_by_source ON run (job, source, place, number);
CREATE TABLE IF NOT EXISTS ping (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, place TEXT NOT NULL, seconds INTEGER NOT NULL, state TEXT NOT NULL,
    free INTEGER, used INTEGER);
CREATE INDEX IF NOT EXISTS ping_by_place ON ping (kind, place, seconds);
CREATE TABLE IF NOT EXISTS ping_check (
    ping INTEGER NOT NULL REFERENCES ping (number),
    name TEXT NOT NULL, subject TEXT NOT NULL, state TEXT NOT NULL, evidence TEXT NOT NULL,
    hint TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS ping_check_by_ping ON ping_check (ping);
CREATE TABLE IF NOT EXISTS read_back (
    place TEXT PRIMARY KEY, pack TEXT NOT NULL, round INTEGER NOT NULL);
PRAGMA user_version = 1;
)";

struct CloseDatabase {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
};
struct FinalizeStatement {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

}  // namespace

struct Catalog::Impl {
    std::string path;
    std::unique_ptr<sqlite3, CloseDatabase> db;

    [[noreturn]] void fail(const char* what) {
        int code = sqlite3_errcode(db.get());
        ErrorKind kind = code == SQLITE_FULL                               ? ErrorKind::no_space
                         : code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? ErrorKind::corrupt
                                                                           : ErrorKind::io;
        std::string hint;
        if (kind == ErrorKind::corrupt)
            hint = "It only records past runs; move it away and a new one is made.";
        throw Error(kind, fmt::format("catalog {}: {}: {}", path, what, sqlite3_errmsg(db.get())),
                    hint);
    }
    Statement prepare(const char* sql) {
        sqlite3_stmt* raw = nullptr;
        if (sqlite3_prepare_v2(db.get(), sql, -1, &raw, nullptr) != SQLITE_OK) fail("prepare");
        return Statement(raw);
    }
    void execute(const char* sql) {
        if (sqlite3_exec(db.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("execute");
    }
};

namespace {

void put(sqlite3_stmt* s, int at, const std::string& text) {
    CHECK(sqlite3_bind_text(s, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT) ==
          SQLITE_OK);
}
void put(sqlite3_stmt* s, int at, uint64_t number) {
    CHECK(sqlite3_bind_int64(s, at, static_cast<int64_t>(number)) == SQLITE_OK);
}
std::string text_at(sqlite3_stmt* s, int column) {
    const unsigned char* text = sqlite3_column_text(s, column);
    return text ? reinterpret_cast<const char*>(text) : "";
}
uint64_t number_at(sqlite3_stmt* s, int column) {
    return static_cast<uint64_t>(sqlite3_column_int64(s, column));
}

}  // namespace

Catalog::Catalog(const std::string& state_dir) : impl_(std::make_unique<Impl>()) {
    os::make_dirs(state_dir);
    impl_->path = state_dir + "/catalog.sqlite";
    sqlite3* raw = nullptr;
    int code = sqlite3_open_v2(impl_->path.c_str(), &raw,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    impl_->db.reset(raw);
    if (code != SQLITE_OK) impl_->fail("open");
    chmod(impl_->path.c_str(), 0600);
    sqlite3_busy_timeout(impl_->db.get(), kBusyTimeoutMs);
    Statement version = impl_->prepare("PRAGMA user_version");
    if (sqlite3_step(version.get()) != SQLITE_ROW) impl_->fail("read version");
    if (sqlite3_column_int(version.get(), 0) > kSchemaVersion)
        throw Error(ErrorKind::unsupported,
                    fmt::format("catalog {} was written by a newer version", impl_->path));
    impl_->execute(kSchema);
}

Catalog::~Catalog() = default;

void Catalog::add_run(const RunRecord& run) {
    Statement s = impl_->prepare(
        "INSERT INTO run (job, source, place, started, ended, succeeded, error, snapshot, files, "
        "bytes, bytes_stored, unreadable) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)");
    put(s.get(), 1, run.job);
    put(s.get(), 2, run.source);
    put(s.get(), 3, run.place);
    put(s.get(), 4, to_rfc3339(run.started));
    put(s.get(), 5, to_rfc3339(run.ended));
    put(s.get(), 6, uint64_t{run.succeeded});
    put(s.get(), 7, run.error);
    put(s.get(), 8, run.snapshot);
    put(s.get(), 9, run.files);
    put(s.get(), 10, run.bytes);
    put(s.get(), 11, run.bytes_stored);
    put(s.get(), 12, run.unreadable);
    if (sqlite3_step(s.get()) != SQLITE_DONE) impl_->fail("record a run");
}

std::optional<RunRecord> Catalog::last_run(const std::string& job, const std::string& source,
                                           const std::string& place) {
    return newest("", job, source, place);
}

std::optional<RunRecord> Catalog::last_success(const std::string& job, const std::string& source,
                                               const std::string& place) {
    return newest("AND succeeded = 1", job, source, place);
}

std::optional<RunRecord> Catalog::newest(const char* condition, const std::string& job,
                                         const std::string& source, const std::string& place) {
    Statement s = impl_->prepare(
        fmt::format(
            "SELECT started, ended, succeeded, error, snapshot, files, bytes, bytes_stored, "
            "unreadable FROM run WHERE job = ? AND source = ? AND place = ? {} "
            "ORDER BY number DESC LIMIT 1",
            condition)
            .c_str());
    put(s.get(), 1, job);
    put(s.get(), 2, source);
    put(s.get(), 3, place);
    int code = sqlite3_step(s.get());
    if (code == SQLITE_DONE) return std::nullopt;
    if (code != SQLITE_ROW) impl_->fail("read runs");
    return RunRecord{.job = job,
                     .source = source,
                     .place = place,
                     .started = parse_rfc3339(text_at(s.get(), 0)),
                     .ended = parse_rfc3339(text_at(s.get(), 1)),
                     .succeeded = number_at(s.get(), 2) != 0,
                     .error = text_at(s.get(), 3),
                     .snapshot = text_at(s.get(), 4),
                     .files = number_at(s.get(), 5),
                     .bytes = number_at(s.get(), 6),
                     .bytes_stored = number_at(s.get(), 7),
                     .unreadable = number_at(s.get(), 8)};
}

namespace {

constexpr int64_t kKeepPingsSeconds = int64_t{400} * 86400;

void put(sqlite3_stmt* s, int at, const std::optional<uint64_t>& number) {
    if (number)
        put(s, at, *number);
    else
        CHECK(sqlite3_bind_null(s, at) == SQLITE_OK);
}
void put_seconds(sqlite3_stmt* s, int at, int64_t seconds) {
    CHECK(sqlite3_bind_int64(s, at, seconds) == SQLITE_OK);
}
std::optional<uint64_t> optional_at(sqlite3_stmt* s, int column) {
    if (sqlite3_column_type(s, column) == SQLITE_NULL) return std::nullopt;
    return number_at(s, column);
}

}  // namespace

void Catalog::add_ping(const PingRecord& ping) {
    impl_->execute("BEGIN IMMEDIATE");
    try {
        Statement s = impl_->prepare(
            "INSERT INTO ping (kind, place, seconds, state, free, used) VALUES (?,?,?,?,?,?)");
        put(s.get(), 1, ping.kind);
        put(s.get(), 2, ping.place);
        put_seconds(s.get(), 3, ping.time.seconds);
        put(s.get(), 4, ping.state);
        put(s.get(), 5, ping.free);
        put(s.get(), 6, ping.used);
        if (sqlite3_step(s.get()) != SQLITE_DONE) impl_->fail("record a ping");
        auto number = static_cast<uint64_t>(sqlite3_last_insert_rowid(impl_->db.get()));
        for (const PingCheck& check : ping.checks) {
            Statement c = impl_->prepare("INSERT INTO ping_check VALUES (?,?,?,?,?,?)");
            put(c.get(), 1, number);
            int at = 2;
            for (const std::string* text :
                 {&check.name, &check.subject, &check.state, &check.evidence, &check.hint})
                put(c.get(), at++, *text);
            if (sqlite3_step(c.get()) != SQLITE_DONE) impl_->fail("record a ping");
        }
        for (const char* sql :
             {"DELETE FROM ping_check WHERE ping IN (SELECT number FROM ping WHERE seconds < ?)",
              "DELETE FROM ping WHERE seconds < ?"}) {
            Statement old = impl_->prepare(sql);
            put_seconds(old.get(), 1, ping.time.seconds - kKeepPingsSeconds);
            if (sqlite3_step(old.get()) != SQLITE_DONE) impl_->fail("remove old pings");
        }
        impl_->execute("COMMIT");
    } catch (...) {
        sqlite3_exec(impl_->db.get(), "ROLLBACK", nullptr, nullptr, nullptr);
        throw;
    }
}

std::optional<PingRecord> Catalog::last_ping(const std::string& kind, const std::string& place) {
    Statement s = impl_->prepare(
        "SELECT number, seconds, state, free, used FROM ping WHERE kind = ? AND place = ? "
        "ORDER BY number DESC LIMIT 1");
    put(s.get(), 1, kind);
    put(s.get(), 2, place);
    int code = sqlite3_step(s.get());
    if (code == SQLITE_DONE) return std::nullopt;
    if (code != SQLITE_ROW) impl_->fail("read pings");
    PingRecord ping{.kind = kind,
                    .place = place,
                    .time = {.seconds = static_cast<int64_t>(number_at(s.get(), 1))},
                    .state = text_at(s.get(), 2),
                    .free = optional_at(s.get(), 3),
                    .used = optional_at(s.get(), 4)};
    Statement c = impl_->prepare(
        "SELECT name, subject, state, evidence, hint FROM ping_check WHERE ping = ? ORDER BY "
        "rowid");
    put(c.get(), 1, number_at(s.get(), 0));
    while ((code = sqlite3_step(c.get())) == SQLITE_ROW)
        ping.checks.push_back({.name = text_at(c.get(), 0),
                               .subject = text_at(c.get(), 1),
                               .state = text_at(c.get(), 2),
                               .evidence = text_at(c.get(), 3),
                               .hint = text_at(c.get(), 4)});
    if (code != SQLITE_DONE) impl_->fail("read pings");
    return ping;
}

std::vector<SpacePoint> Catalog::space_history(const std::string& place, const Time& since) {
    Statement s = impl_->prepare(
        "SELECT seconds, free FROM ping WHERE kind = 'health' AND place = ? AND seconds >= ? AND "
        "free IS NOT NULL ORDER BY seconds");
    put(s.get(), 1, place);
    put_seconds(s.get(), 2, since.seconds);
    std::vector<SpacePoint> out;
    int code;
    while ((code = sqlite3_step(s.get())) == SQLITE_ROW)
        out.push_back(
            {{.seconds = static_cast<int64_t>(number_at(s.get(), 0))}, number_at(s.get(), 1)});
    if (code != SQLITE_DONE) impl_->fail("read pings");
    return out;
}

ReadBackPosition Catalog::read_back_position(const std::string& place) {
    Statement s = impl_->prepare("SELECT pack, round FROM read_back WHERE place = ?");
    put(s.get(), 1, place);
    int code = sqlite3_step(s.get());
    if (code == SQLITE_DONE) return {};
    if (code != SQLITE_ROW) impl_->fail("read the position of reading back");
    return {text_at(s.get(), 0), number_at(s.get(), 1)};
}

void Catalog::set_read_back_position(const std::string& place, const ReadBackPosition& position) {
    Statement s = impl_->prepare("INSERT OR REPLACE INTO read_back VALUES (?,?,?)");
    put(s.get(), 1, place);
    put(s.get(), 2, position.pack);
    put(s.get(), 3, position.round);
    if (sqlite3_step(s.get()) != SQLITE_DONE) impl_->fail("record the position of reading back");
}

}  // namespace sevenfold::catalog
