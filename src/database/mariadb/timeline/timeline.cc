#include "database/mariadb/timeline/timeline.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/error.h"
#include "database/mariadb/timeline/timeline_impl.h"

namespace sevenfold::database::mariadb {
namespace {

// Transactions are numbered in the order of the log. `effective` is the latest time up to and with
// a transaction, in its incarnation. `file.done` is where reading goes on.
constexpr const char* kSchema = R"(
CREATE TABLE file (id INTEGER PRIMARY KEY, incarnation TEXT NOT NULL, name TEXT NOT NULL,
    done INTEGER NOT NULL, UNIQUE (incarnation, name));
CREATE TABLE part (id INTEGER PRIMARY KEY, incarnation TEXT NOT NULL, start_state TEXT NOT NULL,
    end_state TEXT NOT NULL);
CREATE TABLE gap (incarnation TEXT NOT NULL, after TEXT NOT NULL, before TEXT NOT NULL,
    reason TEXT NOT NULL, UNIQUE (incarnation, after, before, reason));
CREATE TABLE txn (number INTEGER PRIMARY KEY, file INTEGER NOT NULL, part INTEGER NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL, domain INTEGER NOT NULL, server INTEGER NOT NULL,
    sequence INTEGER NOT NULL, gtid_flags INTEGER NOT NULL, time INTEGER NOT NULL,
    effective INTEGER NOT NULL, thread INTEGER NOT NULL, events INTEGER NOT NULL,
    rows INTEGER NOT NULL, flags INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX txn_by_gtid ON txn (sequence, domain, server);
CREATE INDEX txn_by_time ON txn (time);
CREATE INDEX txn_by_part ON txn (part, effective);
CREATE INDEX txn_by_file ON txn (file);
CREATE TABLE tab (id INTEGER PRIMARY KEY, database TEXT NOT NULL, name TEXT NOT NULL,
    UNIQUE (database, name));
CREATE TABLE change (txn INTEGER NOT NULL, tab INTEGER NOT NULL, inserted INTEGER NOT NULL,
    updated INTEGER NOT NULL, deleted INTEGER NOT NULL, PRIMARY KEY (txn, tab)) WITHOUT ROWID;
CREATE INDEX change_by_table ON change (tab, txn);
)";
// "Sfbl": tells our file from other programs' (file(1) shows it).
constexpr int64_t kApplicationId = 0x5366626c;

}  // namespace

void Timeline::Impl::open() {
    store = std::make_unique<Store>(path);
    store->execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
    StoreQuery identity(*store,
                        "SELECT (SELECT COUNT(*) FROM sqlite_master), application_id, "
                        "user_version FROM pragma_application_id, pragma_user_version");
    identity.step();
    int64_t tables = identity.number(0), application = identity.number(1);
    int64_t version = identity.number(2);
    identity.reset();
    if (tables == 0) {
        std::string sql = fmt::format(
            "BEGIN IMMEDIATE; {} PRAGMA application_id={}; PRAGMA user_version={}; COMMIT;",
            kSchema, kApplicationId, kTimelineVersion);
        store->execute(sql.c_str());
    } else if (application != kApplicationId || version != kTimelineVersion) {
        throw Error(ErrorKind::corrupt,
                    fmt::format("timeline {}: not of this version's form", path));
    }
}

void Timeline::Impl::clear() {
    store.reset();
    for (const char* ending : {"", "-wal", "-shm", "-journal"}) unlink((path + ending).c_str());
    open();
}

Timeline::Timeline(std::string path) : impl_(std::make_unique<Impl>()) {
    impl_->path = std::move(path);
    try {
        impl_->open();
    } catch (const Error& e) {
        if (e.kind() != ErrorKind::corrupt) throw;
        impl_->clear();
    }
}
Timeline::~Timeline() = default;

Transaction read_place(StoreQuery& query, int first) {
    Transaction t;
    t.incarnation = query.text(first);
    t.file = query.text(first + 1);
    t.start = static_cast<uint64_t>(query.number(first + 2));
    t.end = static_cast<uint64_t>(query.number(first + 3));
    t.gtid = {static_cast<uint32_t>(query.number(first + 4)),
              static_cast<uint32_t>(query.number(first + 5)),
              static_cast<uint64_t>(query.number(first + 6))};
    return t;
}

std::vector<Transaction> Timeline::Impl::transactions(StoreQuery& query) {
    std::vector<Transaction> all;
    StoreQuery changes(*store,
                       "SELECT tab.database, tab.name, inserted, updated, deleted FROM change "
                       "JOIN tab ON tab.id = change.tab WHERE txn = ? ORDER BY 1, 2");
    while (query.step()) {
        Transaction t = read_place(query, 1);
        t.gtid_flags = static_cast<uint8_t>(query.number(8));
        t.time.seconds = query.number(9);
        t.thread_id = static_cast<uint32_t>(query.number(10));
        t.events = static_cast<uint64_t>(query.number(11));
        int64_t flags = query.number(12);
        t.ddl = (flags & kDdlFlag) != 0;
        t.statement_format = (flags & kStatementFormatFlag) != 0;
        t.rolled_back = (flags & kRolledBackFlag) != 0;
        t.xa_prepare = (flags & kXaPrepareFlag) != 0;
        t.text = query.text(13);
        changes.bind(query.number(0));
        while (changes.step())
            t.tables.push_back({changes.text(0), changes.text(1),
                                static_cast<uint64_t>(changes.number(2)),
                                static_cast<uint64_t>(changes.number(3)),
                                static_cast<uint64_t>(changes.number(4))});
        changes.reset();
        all.push_back(std::move(t));
    }
    return all;
}

std::vector<Gap> Timeline::gaps() {
    StoreQuery query(*impl_->store,
                     "SELECT incarnation, after, before, reason FROM gap ORDER BY rowid");
    std::vector<Gap> all;
    while (query.step())
        all.push_back({query.text(0), query.text(1), query.text(2), query.text(3)});
    return all;
}

uint64_t Timeline::size() {
    StoreQuery query(*impl_->store, "SELECT COUNT(*) FROM txn");
    query.step();
    return static_cast<uint64_t>(query.number(0));
}

}  // namespace sevenfold::database::mariadb
