#include "database/mariadb/source/internal/walker.h"

#include <fmt/format.h>

#include "core/cursor.h"
#include "database/mariadb/binlog/statement.h"
#include "database/mariadb/source/internal/read_ahead.h"

namespace sevenfold::database::mariadb::source {
namespace {

bool ends_statement(const Event& event) {
    Cursor cursor(event.body, "rows event");
    cursor.take(6);  // the table's number
    return (cursor.u8() & 1) != 0;
}

}  // namespace

bool ends_transaction(const GtidEvent& begin, const Event& event) {
    switch (event.header.type) {
        case EventType::xid:
        case EventType::xa_prepare:
        case EventType::incident:
            return true;
        case EventType::query_compressed:  // COMMIT is too short to be compressed
        case EventType::execute_load_query:
            return begin.has(GtidEvent::kStandalone);
        case EventType::query: {
            if (begin.has(GtidEvent::kStandalone)) return true;
            StatementKind kind = statement_kind(decode_query(event).statement);
            return kind == StatementKind::commit || kind == StatementKind::rollback;
        }
        default:
            return is_rows(event.header.type) && begin.has(GtidEvent::kStandalone) &&
                   ends_statement(event);
    }
}

class Walker::File {
  public:
    File(const LogArchive& archive, size_t segment)
        : ahead(archive, segment), reader(ahead, segment) {}
    ReadAhead ahead;
    LogFileReader reader;
};

Walker::Walker(const LogArchive& archive, const Series& files, size_t first_file, Position position)
    : archive_(archive),
      files_(files),
      position_(std::move(position)),
      place_{first_file, 0},
      file_(first_file) {}
Walker::~Walker() = default;

void Walker::gap(const std::string& what) const {
    const LogSegment& segment = files_.segment(file_);
    throw Error(ErrorKind::refused,
                fmt::format("log {}/{}: {}", segment.incarnation, segment.name, what),
                "Replay from a newer base, stop before this log, or say up to which transaction "
                "each incarnation counts.");
}

void Walker::fail(ErrorKind kind, const std::string& what) const {
    throw reader_->reader.at_event(Error(kind, what));
}

void Walker::join() {
    pending_.clear();
    const Position& file = files_.begin(file_);
    for (const auto& [domain, begin] : file.all()) {
        const Gtid* have = position_.find(domain);
        if (have == nullptr)
            gap(fmt::format("begins after {}, before which nothing of domain {} is known",
                            begin.display(), domain));
        if (begin.sequence > have->sequence)
            gap(fmt::format("begins after {}, but what is before it ends with {}", begin.display(),
                            have->display()));
        if (begin != *have) pending_.insert(domain);
    }
    for (const auto& [domain, have] : position_.all())
        if (file.find(domain) == nullptr) pending_.insert(domain);
}

// What was skipped because of its number alone may be another history.
void Walker::check_joined() const {
    for (const auto& [domain, gtid] : skipped_)
        if (pending_.contains(domain))
            gap(fmt::format("ends with {} and does not hold {}: it is older, or another history",
                            gtid.display(), position_.find(domain)->display()));
}

// Either the log holds the position's own transaction, and what follows it is wanted; or its first
// transaction of the domain is the very next one, as on a server that was restored to the position.
bool Walker::is_wanted(const Gtid& gtid) {
    size_t part = files_[file_].part;
    auto seen = seen_in_.find(gtid.domain);
    bool first = seen == seen_in_.end() || seen->second != part;
    seen_in_[gtid.domain] = part;
    const Gtid* have = position_.find(gtid.domain);
    if (!pending_.contains(gtid.domain)) {
        if (have != nullptr && gtid.sequence <= have->sequence) out_of_order_ = true;
        return true;
    }
    if (gtid == *have) {
        pending_.erase(gtid.domain);
        return false;
    }
    if (gtid.sequence <= have->sequence) {
        skipped_[gtid.domain] = gtid;
        return false;
    }
    bool next = first && gtid.sequence == have->sequence + 1 &&
                files_.begin(file_).find(gtid.domain) == nullptr;
    if (!next)
        gap(fmt::format("goes on with {} but does not hold {}", gtid.display(), have->display()));
    pending_.erase(gtid.domain);
    return true;
}

// Of another part, the last file that begins no later than where we are.
std::optional<size_t> Walker::following() const {
    if (!started_) return file_;
    size_t next = cut_ ? files_.next_part(file_) : file_ + 1;
    if (next >= files_.size()) return {};
    if (files_[next].part == files_[file_].part) return next;
    return files_.last_begun(next, position_).value_or(next);
}

std::optional<Step> Walker::begin_file() {
    for (;;) {
        std::optional<size_t> file = following();
        bool leaves = started_ && (!file || files_[*file].part != files_[file_].part);
        if (leaves) check_joined();
        if (leaves && files_[file_].until && !cut_)
            gap("does not hold " + files_[file_].until->display() + ", which should be its last");
        if (!file) return {};
        if (std::exchange(open_, std::nullopt)) torn_.insert(open_at_);
        if (leaves) skipped_.clear();
        Step step{.kind = Step::begins_file, .resumed = !started_};
        file_ = *file;
        reader_ = std::make_unique<File>(archive_, files_[file_].segment);
        started_ = true;
        cut_ = false;
        join();
        step.place = {file_, kBinlogMagic.size()};
        if (!reader_->reader.next(step.event)) continue;  // it was only just created
        step.checksum = reader_->reader.format().checksums;
        return step;
    }
}

void Walker::begin_transaction(Step& step) {
    GtidEvent begin = decode_gtid(step.event);
    if (open_)
        fail(ErrorKind::corrupt,
             fmt::format("{} begins inside of {}", begin.gtid.display(), open_->gtid.display()));
    open_ = std::move(begin);
    open_at_ = step.place;
    open_time_ = step.event.header.timestamp;
    open_wanted_ = !torn_.contains(open_at_) && is_wanted(open_->gtid);
    step.first = true;
}

void Walker::end_transaction(Step& step) {
    last_ = std::exchange(open_, std::nullopt);
    step.begin = &*last_;
    if (step.wanted) position_.set(last_->gtid);
    place_ = {file_, step.place.offset + step.event.header.size};
    cut_ = files_[file_].until == last_->gtid;
}

std::optional<Step> Walker::next() {
    Step step;
    if (!started_ || cut_ || !reader_->reader.next(step.event)) return begin_file();
    step.place = {file_, reader_->reader.event_offset()};
    step.checksum = reader_->reader.format().checksums;
    EventType type = step.event.header.type;
    if (type == EventType::gtid) {
        begin_transaction(step);
    } else if (open_) {
        step.last = ends_transaction(*open_, step.event);
    } else {
        if (type == EventType::query || type == EventType::xid || is_rows(type))
            fail(ErrorKind::unsupported, "a change without a GTID");
        return step;
    }
    step.kind = Step::transaction;
    step.begin = &*open_;
    step.time = open_time_;
    step.wanted = open_wanted_;
    if (step.last) end_transaction(step);
    return step;
}

}  // namespace sevenfold::database::mariadb::source
