#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "database/mariadb/timeline/timeline.h"
#include "database/mariadb/timeline/timeline_impl.h"
#include "os/file.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr int kBatch = 5000;  // transactions between commits

// One process at a time adds to an index. Nothing: another one is at it.
std::optional<os::UniqueFd> lock_index(const std::string& path, int how) {
    os::UniqueFd fd = os::open_file(path + ".lock", O_CREAT | O_RDWR, 0600);
    while (::flock(fd.get(), how) != 0) {
        if (errno == EWOULDBLOCK) return std::nullopt;
        if (errno != EINTR) throw errno_error("lock " + path);
    }
    return fd;
}

struct IndexedFile {
    int64_t id;
    std::string incarnation, name;
    uint64_t done;
};

// One run of Timeline::update.
class Updater {
  public:
    Updater(Store& store, const LogArchive& archive)
        : store_(store),
          archive_(archive),
          insert_txn_(store,
                      "INSERT INTO txn (file, part, start, end, domain, server, sequence, "
                      "gtid_flags, time, effective, thread, events, rows, flags, text) "
                      "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
          known_(store,
                 "SELECT 1 FROM txn JOIN file ON file.id = txn.file WHERE sequence = ? AND "
                 "domain = ? AND server = ? AND time = ? AND rows = ? AND text = ? AND "
                 "file.incarnation < ?"),
          insert_change_(store, "INSERT INTO change VALUES (?,?,?,?,?)"),
          insert_gap_(store, "INSERT OR IGNORE INTO gap VALUES (?,?,?,?)"),
          set_done_(store,
                    "INSERT INTO file (incarnation, name, done) VALUES (?,?,?) ON CONFLICT "
                    "(incarnation, name) DO UPDATE SET done = excluded.done RETURNING id"),
          set_state_(store, "UPDATE part SET end_state = ? WHERE id = ?") {
        StoreQuery files(store, "SELECT id, incarnation, name, done FROM file ORDER BY 2, 3");
        while (files.step())
            indexed_.push_back({files.number(0), files.text(1), files.text(2),
                                static_cast<uint64_t>(files.number(3))});
    }
    ~Updater() {
        if (open_) {  // an interrupted update: what is whole stays
            try {
                if (!whole_) throw Error(ErrorKind::io, "interrupted");
                commit();
            } catch (...) {
                try {
                    store_.execute("ROLLBACK");
                } catch (...) {
                }
            }
        }
    }
    Updater(const Updater&) = delete;
    Updater& operator=(const Updater&) = delete;

    enum class Older { dropped, kept };  // files that the archive has no longer
    bool fits(Older older);
    uint64_t run();

  private:
    void begin();
    void commit();
    void drop_old_files(size_t count);
    void resume();
    void read_incarnation(const std::string& incarnation);
    void read_from(const std::string& incarnation, std::string file, uint64_t offset);
    bool is_known(const Transaction& t);
    void store_transaction(const Transaction& t);
    void store_gap(const Gap& gap);
    void start_part(const Transaction& t);
    int64_t table_id(const TableRows& rows);
    int64_t mark_done(const std::string& incarnation, const std::string& name, uint64_t done);

    Store& store_;
    const LogArchive& archive_;
    std::vector<IndexedFile> indexed_;
    StoreQuery insert_txn_, known_, insert_change_, insert_gap_, set_done_, set_state_;
    std::map<std::pair<std::string, std::string>, int64_t> tables_;
    bool open_ = false;
    bool whole_ = true;  // false while a transaction is being stored
    uint64_t added_ = 0;
    int64_t part_ = 0;  // 0: the next transaction begins one
    int64_t effective_ = INT64_MIN;
    GtidList state_;
    bool state_known_ = false;
    std::string incarnation_;  // of part_
    std::pair<std::string, std::string> file_;
    int64_t file_id_ = 0;
};

void Updater::begin() {
    store_.execute("BEGIN IMMEDIATE");
    open_ = true;
}

void Updater::commit() {
    if (part_ != 0) set_state_.bind(state_.state()).bind(part_).run();
    store_.execute("COMMIT");
    open_ = false;
}

// Whether the archive continues what was indexed: its oldest files may be gone, only the last one
// may have grown, and all others come after it.
bool Updater::fits(Older older) {
    const auto& segments = archive_.segments();
    size_t gone = 0, at = 0;
    auto same = [](const IndexedFile& f, const LogSegment& s) {
        return f.incarnation == s.incarnation && f.name == s.name;
    };
    while (gone < indexed_.size() && !segments.empty() && !same(indexed_[gone], segments[0]))
        ++gone;
    if (gone == indexed_.size()) return indexed_.empty();
    for (size_t i = gone; i < indexed_.size(); ++i, ++at) {
        if (at == segments.size() || !same(indexed_[i], segments[at])) return false;
        if (segments[at].size < indexed_[i].done) return false;
        bool last = i + 1 == indexed_.size();
        if (!last && segments[at].size > indexed_[i].done) return false;
    }
    // The last indexed transaction must be where it was.
    StoreQuery last(store_,
                    "SELECT file.incarnation, file.name, start, end, domain, server, "
                    "sequence FROM txn JOIN file ON file.id = txn.file ORDER BY number "
                    "DESC LIMIT 1");
    if (last.step()) {
        Transaction t = read_place(last, 0);
        try {
            visit_events(archive_, t, [](const Event&, const Format&, uint64_t) { return false; });
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::corrupt && e.kind() != ErrorKind::not_found) throw;
            return false;
        }
    }
    last.reset();
    if (gone > 0 && older == Older::dropped) drop_old_files(gone);
    return true;
}

void Updater::drop_old_files(size_t count) {
    begin();
    for (size_t i = 0; i < count; ++i) {
        for (const char* sql :
             {"DELETE FROM change WHERE txn IN (SELECT number FROM txn WHERE file = ?)",
              "DELETE FROM txn WHERE file = ?", "DELETE FROM file WHERE id = ?"})
            StoreQuery(store_, sql).bind(indexed_[i].id).run();
    }
    store_.execute(
        "DELETE FROM part WHERE id NOT IN (SELECT part FROM txn) AND id < (SELECT "
        "MAX(id) FROM part)");
    // The oldest part now begins with the oldest file that is left.
    StoreQuery oldest(store_,
                      "UPDATE part SET start_state = ? WHERE id = (SELECT part FROM txn "
                      "ORDER BY number LIMIT 1)");
    if (auto state = state_at_start(archive_, 0)) oldest.bind(state->state()).run();
    for (size_t i = 0; i < count; ++i)
        StoreQuery(store_, "DELETE FROM gap WHERE incarnation = ? AND (before = ? OR after = ?)")
            .bind(indexed_[i].incarnation)
            .bind(indexed_[i].name)
            .bind(indexed_[i].name)
            .run();
    store_.execute("COMMIT");
    open_ = false;
    indexed_.erase(indexed_.begin(), indexed_.begin() + static_cast<ptrdiff_t>(count));
}

// Where the last update ended.
void Updater::resume() {
    StoreQuery part(store_, "SELECT id, incarnation, end_state FROM part ORDER BY id DESC LIMIT 1");
    if (!part.step()) return;
    part_ = part.number(0);
    incarnation_ = part.text(1);
    state_ = parse_gtid_list(part.text(2));
    state_known_ = true;
    StoreQuery latest(store_,
                      "SELECT MAX(effective) FROM txn WHERE part IN (SELECT id FROM part "
                      "WHERE incarnation = ?)");
    latest.bind(incarnation_);
    if (latest.step()) effective_ = latest.number(0);
}

uint64_t Updater::run() {
    resume();
    begin();
    std::vector<std::string> incarnations;
    for (const LogSegment& segment : archive_.segments()) {
        bool old = !indexed_.empty() && segment.incarnation < indexed_.back().incarnation;
        if (!old && (incarnations.empty() || incarnations.back() != segment.incarnation))
            incarnations.push_back(segment.incarnation);
    }
    for (const std::string& incarnation : incarnations) read_incarnation(incarnation);
    commit();
    return added_;
}

void Updater::read_incarnation(const std::string& incarnation) {
    if (incarnation != incarnation_) {
        if (part_ != 0) set_state_.bind(state_.state()).bind(part_).run();
        part_ = 0;
        effective_ = INT64_MIN;
        state_ = {};
        state_known_ = false;
        incarnation_ = incarnation;
    }
    std::string file;
    uint64_t offset = kBinlogMagic.size();
    const auto& segments = archive_.segments();
    if (!indexed_.empty() && indexed_.back().incarnation == incarnation) {
        file = indexed_.back().name;
        offset = std::max<uint64_t>(indexed_.back().done, offset);
    } else {
        file = std::ranges::find(segments, incarnation, &LogSegment::incarnation)->name;
    }
    // A file that is damaged ends there: reading goes on with the next.
    for (;;) {
        try {
            return read_from(incarnation, file, offset);
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::corrupt && e.kind() != ErrorKind::unsupported) throw;
            store_gap({incarnation, file_.second.empty() ? file : file_.second, {}, e.message()});
            if (!file_.second.empty() && file_.first == incarnation) file = file_.second;
            size_t next = find_segment(archive_, incarnation, file) + 1;
            mark_done(incarnation, file, segments[next - 1].size);
            if (next == segments.size() || segments[next].incarnation != incarnation) return;
            file = segments[next].name;
            file_ = {incarnation, file};
            offset = kBinlogMagic.size();
        }
    }
}

void Updater::read_from(const std::string& incarnation, std::string file, uint64_t offset) {
    ReadOptions options{.incarnation = incarnation,
                        .file = std::move(file),
                        .offset = offset,
                        .stop_at_gap = false};
    if (state_known_) options.state = state_;
    TransactionReader reader(archive_, options);
    size_t gaps = 0;
    Transaction t;
    int batch = 0;
    auto note = [&] {
        for (; gaps < reader.gaps().size(); ++gaps) store_gap(reader.gaps()[gaps]);
        if (reader.file() == nullptr) return;
        std::pair now(incarnation, reader.file()->name);
        if (now != file_ && file_.first == incarnation && !file_.second.empty()) {
            // Files that were left behind are read to their ends.
            const auto& all = archive_.segments();
            for (size_t i = find_segment(archive_, incarnation, file_.second);
                 all[i].name != now.second; ++i)
                mark_done(incarnation, all[i].name, all[i].size);
        }
        file_ = now;
        file_id_ = mark_done(incarnation, now.second, reader.offset());
    };
    file_ = {incarnation, options.file};
    try {
        while (reader.next(t)) {
            whole_ = false;
            note();
            state_ = reader.state();
            state_known_ = true;
            store_transaction(t);
            whole_ = true;
            if (++batch % kBatch == 0) {
                commit();
                begin();
            }
        }
    } catch (...) {
        note();
        throw;
    }
    note();
    state_ = reader.state();
}

void Updater::store_gap(const Gap& gap) {
    insert_gap_.bind(gap.incarnation).bind(gap.after).bind(gap.before).bind(gap.reason).run();
    if (part_ != 0) set_state_.bind(state_.state()).bind(part_).run();
    part_ = 0;
}

void Updater::start_part(const Transaction& t) {
    auto start = state_at_start(archive_, t.segment);
    StoreQuery insert(store_,
                      "INSERT INTO part (incarnation, start_state, end_state) VALUES (?,?,'')");
    insert.bind(t.incarnation).bind(start ? start->state() : "").run();
    part_ = store_.last_row();
}

int64_t Updater::table_id(const TableRows& rows) {
    auto [at, added] = tables_.try_emplace({rows.database, rows.table}, 0);
    if (!added) return at->second;
    StoreQuery(store_, "INSERT OR IGNORE INTO tab (database, name) VALUES (?,?)")
        .bind(rows.database)
        .bind(rows.table)
        .run();
    StoreQuery find(store_, "SELECT id FROM tab WHERE database = ? AND name = ?");
    find.bind(rows.database).bind(rows.table).step();
    return at->second = find.number(0);
}

int64_t Updater::mark_done(const std::string& incarnation, const std::string& name, uint64_t done) {
    set_done_.bind(incarnation).bind(name).bind(static_cast<int64_t>(done)).step();
    int64_t id = set_done_.number(0);
    set_done_.run();
    return id;
}

// Another server's log begins with what was received from the one before it: known by its GTID, and
// by its content, since a GTID alone may be used twice after RESET MASTER.
bool Updater::is_known(const Transaction& t) {
    known_.bind(static_cast<int64_t>(t.gtid.sequence)).bind(int64_t{t.gtid.domain});
    known_.bind(int64_t{t.gtid.server_id}).bind(t.time.seconds);
    known_.bind(static_cast<int64_t>(t.rows())).bind(t.text).bind(t.incarnation);
    bool found = known_.step();
    known_.run();
    return found;
}

void Updater::store_transaction(const Transaction& t) {
    if (is_known(t)) return;
    if (part_ == 0) start_part(t);
    effective_ = std::max(effective_, t.time.seconds);
    int64_t flags = t.ddl * kDdlFlag + t.statement_format * kStatementFormatFlag +
                    t.rolled_back * kRolledBackFlag + t.xa_prepare * kXaPrepareFlag;
    auto number = [](uint64_t v) { return static_cast<int64_t>(v); };
    insert_txn_.bind(file_id_).bind(part_).bind(number(t.start)).bind(number(t.end));
    insert_txn_.bind(int64_t{t.gtid.domain}).bind(int64_t{t.gtid.server_id});
    insert_txn_.bind(number(t.gtid.sequence)).bind(int64_t{t.gtid_flags}).bind(t.time.seconds);
    insert_txn_.bind(effective_).bind(int64_t{t.thread_id}).bind(number(t.events));
    insert_txn_.bind(number(t.rows())).bind(flags).bind(t.text).run();
    int64_t txn = store_.last_row();
    for (const TableRows& rows : t.tables)
        insert_change_.bind(txn)
            .bind(table_id(rows))
            .bind(number(rows.inserted))
            .bind(number(rows.updated))
            .bind(number(rows.deleted))
            .run();
    ++added_;
}

}  // namespace

TimelineUpdate Timeline::extend(const LogArchive& archive) {
    auto lock = lock_index(impl_->path, LOCK_EX | LOCK_NB);
    if (!lock || archive.segments().empty()) return {};
    Updater updater(*impl_->store, archive);
    if (!updater.fits(Updater::Older::kept)) return {};
    return {.added = updater.run()};
}

TimelineUpdate Timeline::update(const LogArchive& archive) {
    TimelineUpdate result;
    auto lock = lock_index(impl_->path, LOCK_EX);
    for (;;) {
        try {
            {
                Updater updater(*impl_->store, archive);
                if (updater.fits(Updater::Older::dropped)) {
                    result.added = updater.run();
                    return result;
                }
            }
        } catch (const Error& e) {
            // Only SQLite's own damage leads here: damage of the archive is noted as a gap.
            if (e.kind() != ErrorKind::corrupt || result.rebuilt) throw;
        }
        if (result.rebuilt)
            throw Error(ErrorKind::internal, "the timeline does not fit a new archive");
        impl_->clear();
        result.rebuilt = true;
    }
}

}  // namespace sevenfold::database::mariadb
