#include "database/mariadb/source/internal/walker.h"

#include <fmt/format.h>

namespace sevenfold::database::source {

GtidState begin_of(const LogArchive& archive, size_t segment) {
    SegmentReader reader(archive, segment, false);
    while (std::optional<Event> event = reader.next()) {
        if (event->header.type == kGtidListEvent) return parse_gtid_list(*event);
        if (event->header.type == kGtidEvent) break;
    }
    throw Error(ErrorKind::corrupt, fmt::format("log {}: no GTID list", reader.name()),
                "Only binlogs of MariaDB 10.0.2 and later can be replayed.");
}

Walker::Walker(const LogArchive& archive, const Series& files, size_t first_file, GtidState state,
               bool read_ahead)
    : archive_(archive),
      files_(files),
      read_ahead_(read_ahead),
      state_(std::move(state)),
      position_{first_file, 0},
      file_(first_file) {}

std::string Walker::name_of(const SeriesFile& file) const {
    const LogSegment& segment = archive_.segments()[file.segment];
    return segment.incarnation + "/" + segment.name;
}

void Walker::gap(const std::string& what) const {
    throw Error(ErrorKind::refused, fmt::format("log {}: {}", name_of(files_[file_]), what),
                "Replay from a newer base, stop before this log, or say up to which transaction "
                "each incarnation counts.");
}

void Walker::join(const SeriesFile& file) {
    pending_.clear();
    for (const auto& [domain, begin] : file.begin.all()) {
        const Gtid* have = state_.find(domain);
        if (have == nullptr)
            gap(fmt::format("begins after {}, before which nothing of domain {} is known",
                            begin.display(), domain));
        if (begin.sequence > have->sequence)
            gap(fmt::format("begins after {}, but what is before it ends with {}", begin.display(),
                            have->display()));
        if (begin != *have) pending_.insert(domain);
    }
    for (const auto& [domain, have] : state_.all())
        if (file.begin.find(domain) == nullptr) pending_.insert(domain);
}

// What was skipped because of its number alone may be another history.
void Walker::check_joined() const {
    for (const auto& [domain, gtid] : skipped_)
        if (pending_.contains(domain))
            gap(fmt::format("ends with {} and does not hold {}: it is older, or another history",
                            gtid.display(), state_.find(domain)->display()));
}

// Either the log holds the state's own transaction, and what follows it is wanted; or its first
// transaction of the domain is the very next one, as on a server that was restored to the state.
bool Walker::is_wanted(const Gtid& gtid) {
    const SeriesFile& file = files_[file_];
    auto seen = seen_in_.find(gtid.domain);
    bool first = seen == seen_in_.end() || seen->second != file.part;
    seen_in_[gtid.domain] = file.part;
    const Gtid* have = state_.find(gtid.domain);
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
    bool next =
        first && gtid.sequence == have->sequence + 1 && file.begin.find(gtid.domain) == nullptr;
    if (!next)
        gap(fmt::format("goes on with {} but does not hold {}", gtid.display(), have->display()));
    pending_.erase(gtid.domain);
    return true;
}

void Walker::open_file(size_t number) {
    if (files_[number].part != files_[file_].part) skipped_.clear();
    file_ = number;
    reader_ = std::make_unique<SegmentReader>(archive_, files_[number].segment, read_ahead_);
    open_.reset();
}

std::optional<size_t> Walker::following() const {
    if (!started_) return file_ < files_.size() ? std::optional(file_) : std::nullopt;
    size_t next = file_ + 1;
    if (cut_)
        while (next < files_.size() && files_[next].part == files_[file_].part) ++next;
    if (next >= files_.size()) return {};
    if (files_[next].part != files_[file_].part) {
        // Of the next part, the last file that begins no later than where we are.
        size_t part = files_[next].part, best = next;
        for (size_t i = next; i < files_.size() && files_[i].part == part; ++i) {
            bool covered = true;
            for (const auto& [domain, begin] : files_[i].begin.all()) {
                const Gtid* have = state_.find(domain);
                covered = covered && have != nullptr && begin.sequence <= have->sequence;
            }
            if (!covered) break;
            best = i;
        }
        return best;
    }
    return next;
}

std::optional<Step> Walker::next() {
    Step step;
    std::optional<Event> event;
    if (started_ && !cut_) event = reader_->next();
    if (!event) {
        if (started_ && open_ && following() && !cut_)
            throw Error(ErrorKind::corrupt,
                        fmt::format("log {}: ends inside of transaction {}", name_of(files_[file_]),
                                    open_->gtid.display()),
                        "The archived file is not complete although later files exist.");
        std::optional<size_t> file = following();
        if (started_ && (!file || files_[*file].part != files_[file_].part)) check_joined();
        if (!file) return {};
        if (started_ && files_[*file].part != files_[file_].part && files_[file_].until && !cut_)
            gap("does not hold " + files_[file_].until->display() + ", which should be its last");
        bool resumed = !started_;
        open_file(*file);
        started_ = true;
        cut_ = false;
        join(files_[file_]);
        event = reader_->next();
        if (!event) return next();  // a file that was only just created
        step.kind = Step::begins_file;
        step.resumed = resumed;
    }
    step.file = file_;
    step.event = *event;
    if (step.kind == Step::begins_file) return step;
    uint8_t type = event->header.type;
    if (type == kGtidEvent) {
        if (open_)
            throw Error(ErrorKind::corrupt,
                        fmt::format("log {} at offset {}: {} begins inside of {}", reader_->name(),
                                    event->offset, parse_gtid(*event).gtid.display(),
                                    open_->gtid.display()));
        open_ = parse_gtid(*event);
        open_wanted_ = is_wanted(open_->gtid);
        step.first = true;
    } else if (open_) {
        step.last = ends_group(*open_, *event);
    }
    if (!open_) {
        if (type == kQueryEvent || type == kXidEvent)
            throw Error(ErrorKind::unsupported,
                        fmt::format("log {} at offset {}: a transaction without a GTID",
                                    reader_->name(), event->offset));
        return step;
    }
    step.kind = Step::transaction;
    step.begin = &*open_;
    step.wanted = open_wanted_;
    if (step.last) {
        last_ = std::move(open_);
        open_.reset();
        step.begin = &*last_;
        if (step.wanted) state_.set(last_->gtid);
        position_ = {file_, event->offset + event->header.size};
        cut_ = files_[file_].until == last_->gtid;
    }
    return step;
}

}  // namespace sevenfold::database::source
