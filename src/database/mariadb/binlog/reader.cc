#include "database/mariadb/binlog/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "core/check.h"
#include "database/mariadb/binlog/statement.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr uint64_t kListWindow = 4096;  // a list of GTIDs stands at the head of its file

// Puts one transaction together from its events.
class Builder {
  public:
    explicit Builder(bool count_rows) : count_rows_(count_rows) {}

    bool open() const { return open_; }
    const Gtid& gtid() const { return transaction_.gtid; }

    void begin(const Event& event, const LogFileReader& file) {
        GtidEvent gtid = decode_gtid(event);
        transaction_ = {.gtid = gtid.gtid,
                        .gtid_flags = gtid.flags,
                        .time = {.seconds = event.header.timestamp},
                        .thread_id = gtid.thread_id.value_or(0),
                        .segment = file.segment(),
                        .incarnation = file.file().incarnation,
                        .file = file.file().name,
                        .start = file.event_offset(),
                        .events = 1};
        transaction_.ddl = gtid.has(GtidEvent::kDdl);
        tables_.clear();
        counts_.clear();
        open_ = true;
    }
    // True when this was the last event of the transaction.
    bool add(const Event& event, const Format& format) {
        ++transaction_.events;
        EventType type = event.header.type;
        if (is_rows(type)) return add_rows(event, format);
        switch (type) {
            case EventType::xid:
                return true;
            case EventType::xa_prepare:
                transaction_.xa_prepare = true;
                return true;
            case EventType::query:
            case EventType::query_compressed:
            case EventType::execute_load_query:
                return add_query(event);
            case EventType::annotate_rows:
                add_text(decode_annotate_rows(event));
                return false;
            case EventType::table_map:
                if (count_rows_) {
                    TableMap map = decode_table_map(event, format);
                    tables_.insert_or_assign(map.id, std::move(map));
                }
                return false;
            case EventType::gtid:
                throw Error(ErrorKind::corrupt,
                            fmt::format("transaction {} has no end", transaction_.gtid.display()));
            default:  // variables, parts of LOAD DATA, what newer servers add
                return false;
        }
    }
    Transaction finish(uint64_t end) {
        open_ = false;
        transaction_.end = end;
        for (auto& [key, rows] : counts_) transaction_.tables.push_back(std::move(rows));
        return std::move(transaction_);
    }
    void drop() { open_ = false; }

  private:
    bool standalone() const { return (transaction_.gtid_flags & GtidEvent::kStandalone) != 0; }

    bool add_rows(const Event& event, const Format& format) {
        RowsHead head = decode_rows_head(event);
        bool last = (head.flags & RowsEvent::kStatementEnd) != 0;
        if (count_rows_) {
            auto table = tables_.find(head.table_id);
            if (table == tables_.end())
                throw Error(ErrorKind::corrupt, "rows of a table that was not described");
            RowsEvent rows = decode_rows(event, format);
            uint64_t count = mariadb::count_rows(rows, table->second);
            const TableMap& map = table->second;
            auto& counts = counts_[{map.database, map.table}];
            counts.database = map.database;
            counts.table = map.table;
            (rows.kind == ChangeKind::inserted  ? counts.inserted
             : rows.kind == ChangeKind::updated ? counts.updated
                                                : counts.deleted) += count;
        }
        if (last) tables_.clear();
        return last && standalone();
    }
    bool add_query(const Event& event) {
        QueryEvent query = decode_query(event);
        if (query.thread_id != 0) transaction_.thread_id = query.thread_id;
        switch (statement_kind(query.statement)) {
            case StatementKind::begin:
            case StatementKind::savepoint:
                return false;
            case StatementKind::commit:
                return true;
            case StatementKind::rollback:
                transaction_.rolled_back = true;
                return true;
            case StatementKind::xa:
                break;
            case StatementKind::rows:
                if (!transaction_.ddl) transaction_.statement_format = true;
                break;
            case StatementKind::other:
                transaction_.ddl = true;
                for (const auto& key : named_tables(query.statement, query.database)) {
                    TableRows& rows = counts_[key];
                    std::tie(rows.database, rows.table) = key;
                }
                break;
        }
        add_text(query.statement);
        return standalone();
    }
    void add_text(std::string_view statement) {
        std::string& text = transaction_.text;
        if (text.size() + 1 >= kMaxText) return;
        if (!text.empty()) text += '\n';
        text += valid_utf8(statement.substr(0, kMaxText - text.size()));
    }

    bool count_rows_;
    bool open_ = false;
    Transaction transaction_;
    std::map<uint64_t, TableMap> tables_;  // of the statement
    std::map<std::pair<std::string, std::string>, TableRows> counts_;
};

}  // namespace

uint64_t Transaction::rows() const {
    uint64_t sum = 0;
    for (const TableRows& t : tables) sum += t.inserted + t.updated + t.deleted;
    return sum;
}

struct TransactionReader::Impl {
    Impl(const LogArchive& a, ReadOptions o)
        : archive(a), options(std::move(o)), builder(options.count_rows) {}

    const LogArchive& archive;
    ReadOptions options;
    Builder builder;
    std::vector<size_t> segments;  // to be read, in order
    size_t at = 0;                 // in segments
    std::optional<LogFileReader> reader;
    const LogSegment* file = nullptr;
    uint64_t offset = 4;
    GtidList state;
    bool state_known = false;
    std::string next_file;  // what the file before said comes next
    std::vector<Gap> gaps;

    void choose_segments();
    void skip_done_segments();
    void open_segment();
    void note_gap(std::string after, std::string before, std::string reason);
    void check_list(const GtidList& list);
    bool handle(const Event& event, Transaction& out);
    void outside(const Event& event);
};

void TransactionReader::Impl::choose_segments() {
    const auto& all = archive.segments();
    bool placed = !options.file.empty() || !options.after.empty();
    if (placed && options.incarnation.empty())
        throw Error(ErrorKind::internal, "a place in a log needs its incarnation");
    for (size_t i = 0; i < all.size(); ++i)
        if (options.incarnation.empty() || all[i].incarnation == options.incarnation)
            segments.push_back(i);
    if (segments.empty() && !options.incarnation.empty())
        throw Error(ErrorKind::not_found,
                    fmt::format("no log files of incarnation {}", options.incarnation));
    if (!options.file.empty()) {
        size_t first = find_segment(archive, options.incarnation, options.file);
        std::erase_if(segments, [&](size_t i) { return i < first; });
    } else if (!options.after.empty()) {
        skip_done_segments();
    }
    if (options.state) {
        state = *options.state;
        state_known = true;
    }
}

// Files before the newest one whose list is within the wanted position hold nothing new.
void TransactionReader::Impl::skip_done_segments() {
    for (size_t i = segments.size(); i-- > 0;) {
        std::optional<GtidList> list = state_at_start(archive, segments[i]);
        if (!list || !options.after.contains_all(*list)) continue;
        segments.erase(segments.begin(), segments.begin() + static_cast<ptrdiff_t>(i));
        return;
    }
    if (!segments.empty())
        note_gap({}, archive.segments()[segments[0]].name,
                 "the log begins after " + options.after.position());
}

void TransactionReader::Impl::note_gap(std::string after, std::string before, std::string reason) {
    const std::string& incarnation = archive.segments()[segments.at(at)].incarnation;
    if (options.stop_at_gap)
        throw Error(ErrorKind::corrupt,
                    fmt::format("gap in the log {} before {}: {}", incarnation, before, reason),
                    "Another place may have the missing part; else only times before the gap, or "
                    "after the next base, can be reached.");
    gaps.push_back({incarnation, std::move(after), std::move(before), std::move(reason)});
}

void TransactionReader::Impl::open_segment() {
    size_t segment = segments[at];
    const LogSegment& next = archive.segments()[segment];
    bool same = file != nullptr && file->incarnation == next.incarnation;
    if (same && !next_file.empty() && next_file != next.name)
        note_gap(file->name, next.name, next_file + " is missing");
    if (file != nullptr && !same) state_known = false;
    next_file.clear();
    bool placed = file == nullptr && !options.file.empty();
    reader.emplace(archive, segment, placed ? options.offset : 4);
    if (!state_known) state = {};
    file = &next;
    offset = reader->offset();
}

void TransactionReader::Impl::check_list(const GtidList& list) {
    if (!state_known) {
        state = list;
        state_known = true;
    } else if (!state.contains_all(list)) {
        note_gap(at > 0 ? archive.segments()[segments[at - 1]].name : "", file->name,
                 fmt::format("transactions after {} up to {} are missing", state.position(),
                             list.position()));
        state.add_all(list);
    }
}

// An event that belongs to no transaction.
void TransactionReader::Impl::outside(const Event& event) {
    switch (event.header.type) {
        case EventType::gtid_list:
            check_list(decode_gtid_list(event));
            break;
        case EventType::rotate:
            if ((event.header.flags & kArtificial) == 0) next_file = decode_rotate(event).file;
            break;
        case EventType::incident:
            note_gap(file->name, file->name, "the server reports that it lost events");
            break;
        case EventType::query:
        case EventType::query_compressed:
        case EventType::xid:
            throw Error(ErrorKind::unsupported, "a transaction without GTID",
                        "Only logs of MariaDB 10 and newer can be read.");
        default:
            break;
    }
}

// True when a transaction is whole and wanted.
bool TransactionReader::Impl::handle(const Event& event, Transaction& out) {
    bool end = false;
    if (builder.open())
        end = builder.add(event, reader->format());
    else if (event.header.type == EventType::gtid)
        builder.begin(event, *reader);
    else
        outside(event);
    if (builder.open() && !end) return false;
    offset = reader->offset();
    if (!end) return false;
    out = builder.finish(offset);
    state.add(out.gtid);
    return options.after.empty() || !options.after.contains(out.gtid);
}

TransactionReader::TransactionReader(const LogArchive& archive, ReadOptions options)
    : impl_(std::make_unique<Impl>(archive, std::move(options))) {
    impl_->choose_segments();
}
TransactionReader::~TransactionReader() = default;

bool TransactionReader::next(Transaction& transaction) {
    Impl& i = *impl_;
    for (; i.at < i.segments.size(); ++i.at) {
        if (!i.reader) i.open_segment();
        Event event;
        while (i.reader->next(event)) {
            bool found;
            try {
                found = i.handle(event, transaction);
            } catch (const Error& e) {
                throw i.reader->at_event(e);
            }
            if (found) return true;
        }
        // A crash can leave a file with half a transaction: it never happened. If it did, the list
        // at the head of the next file says so.
        i.builder.drop();
        i.reader.reset();
    }
    return false;
}

const GtidList& TransactionReader::state() const { return impl_->state; }
const LogSegment* TransactionReader::file() const { return impl_->file; }
uint64_t TransactionReader::offset() const { return impl_->offset; }
const std::vector<Gap>& TransactionReader::gaps() const { return impl_->gaps; }

void visit_events(const LogArchive& archive, const Transaction& transaction,
                  const std::function<bool(const Event&, const Format&, uint64_t)>& visit) {
    size_t segment = find_segment(archive, transaction.incarnation, transaction.file);
    LogFileReader file(archive, segment, transaction.start, transaction.end);
    Event event;
    while (file.offset() < transaction.end) {
        if (!file.next(event))
            throw Error(ErrorKind::corrupt,
                        fmt::format("{} ends before transaction {} does", transaction.file,
                                    transaction.gtid.display()));
        if (file.event_offset() == transaction.start &&
            (event.header.type != EventType::gtid || decode_gtid(event).gtid != transaction.gtid))
            throw file.at_event(
                Error(ErrorKind::corrupt, "another event than " + transaction.gtid.display()));
        if (!visit(event, file.format(), file.event_offset())) return;
    }
}

std::optional<GtidList> state_at_start(const LogArchive& archive, size_t segment) {
    LogFileReader file(archive, segment, kBinlogMagic.size(), kListWindow);
    Event event;
    while (file.next(event)) {
        if (event.header.type == EventType::gtid_list) return decode_gtid_list(event);
        if (event.header.type == EventType::gtid) return std::nullopt;
    }
    return std::nullopt;
}

size_t find_segment(const LogArchive& archive, const std::string& incarnation,
                    const std::string& file) {
    const auto& all = archive.segments();
    for (size_t i = 0; i < all.size(); ++i)
        if (all[i].incarnation == incarnation && all[i].name == file) return i;
    throw Error(ErrorKind::not_found,
                fmt::format("log file {}/{} is not in the archive", incarnation, file));
}

}  // namespace sevenfold::database::mariadb
