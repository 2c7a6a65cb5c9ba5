#include "database/mariadb/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "database/mariadb/binlog/reader.h"
#include "database/mariadb/stream/position.h"

namespace sevenfold::database::mariadb {
namespace {

// The files of one incarnation, as places in the archive's segments.
using Series = std::vector<size_t>;

std::vector<Series> all_series(const LogArchive& archive) {
    const auto& segments = archive.segments();
    std::vector<Series> out;
    for (size_t i = 0; i < segments.size(); ++i) {
        if (i == 0 || segments[i].incarnation != segments[i - 1].incarnation) out.emplace_back();
        out.back().push_back(i);
    }
    return out;
}

class Coverage {
  public:
    explicit Coverage(const LogArchive& archive) : archive_(archive) {}

    // Why the series does not begin with, or contain, this position; `at`: its file.
    std::optional<std::string> find_start(const Series& files, const database::Position& from,
                                          Series::const_iterator& at) const {
        at = named(files, from.file);
        if (at == files.end()) return fmt::format("{} is missing", from.file);
        // Names repeat after RESET MASTER, and at other servers: the file must not begin after the
        // position.
        auto begin = state_at_start(archive_, *at);
        if (!is_of(files, from) || !begin || !parse_gtid_list(from.gtid).contains_all(*begin))
            return fmt::format("{} is another file of that name", from.file);
        return std::nullopt;
    }

    // Why the files from `first` on do not lead to this position.
    std::optional<std::string> find_end(const Series& files, Series::const_iterator first,
                                        const database::Position& to) const {
        auto last = named(files, to.file);
        if (last == files.end() || !is_of(files, to)) return fmt::format("{} is missing", to.file);
        const LogSegment& segment = archive_.segments()[*last];
        if (segment.size < to.offset)
            return fmt::format("{} has only {} of {} bytes", to.file, segment.size, to.offset);
        if (first > last)
            return fmt::format("{} comes after {}", archive_.segments()[*first].name, to.file);
        return broken(first, last);
    }

    // Why there is a hole between two files.
    std::optional<std::string> broken(Series::const_iterator first,
                                      Series::const_iterator last) const {
        for (auto file = first; file != last; ++file) {
            const auto &name = archive_.segments()[*file].name,
                       &next = archive_.segments()[*std::next(file)].name;
            if (!follows(name, next))
                return fmt::format("what lies between {} and {} is missing", name, next);
        }
        return std::nullopt;
    }

    // Reads from a position on; what it throws at is where the log ends.
    std::unique_ptr<TransactionReader> read_from(const Series& files, const std::string& file,
                                                 uint64_t offset, std::optional<GtidList> state,
                                                 const GtidList& after = {},
                                                 bool count_rows = false) const {
        return std::make_unique<TransactionReader>(
            archive_, ReadOptions{.incarnation = archive_.segments()[files[0]].incarnation,
                                  .after = after,
                                  .file = file,
                                  .offset = offset,
                                  .state = std::move(state),
                                  .count_rows = count_rows});
    }

    // Goes on in the series of another server: after everything in `state`, the last of which it
    // must hold itself, so that it is the same history. `at`: the file in which it goes on. Nothing
    // when it does not.
    std::unique_ptr<TransactionReader> join(const Series& files, const GtidList& state,
                                            Series::const_iterator& at,
                                            bool count_rows = false) const {
        std::optional<GtidList> begin;
        for (at = files.end(); at != files.begin() && !begin;) {
            begin = state_at_start(archive_, *--at);
            if (begin && !state.contains_all(*begin)) begin.reset();
        }
        if (!begin) return nullptr;
        std::set<std::string> wanted;
        for (const Gtid& gtid : parse_gtid_list(state.position()).all()) {
            auto there = begin->last(gtid.domain);
            if (!there || there->display() != gtid.display()) wanted.insert(gtid.display());
        }
        auto reader = read_from(files, archive_.segments()[*at].name, 4, {});
        Transaction transaction;
        while (!wanted.empty()) {
            if (!reader->next(transaction)) return nullptr;
            wanted.erase(transaction.gtid.display());
        }
        return read_from(files, archive_.segments()[*at].name, 4, {}, state, count_rows);
    }

  private:
    Series::const_iterator named(const Series& files, const std::string& name) const {
        return std::ranges::find_if(files,
                                    [&](size_t i) { return archive_.segments()[i].name == name; });
    }
    bool is_of(const Series& files, const database::Position& position) const {
        uint32_t server = incarnation_server(archive_.segments()[files[0]].incarnation);
        return server == 0 || position.server == 0 || position.server == server;
    }

    const LogArchive& archive_;
};

// Reads to the end, or to where it is not whole.
template <class Reader>
std::optional<Transaction> drain(Reader& reader) {
    std::optional<Transaction> last;
    Transaction next;
    try {
        while (reader.next(next)) last = next;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt) throw;
    }
    return last;
}

// From series `number` on over to a later one; why not.
std::optional<std::string> missing_over(const LogArchive& archive,
                                        const std::vector<Series>& series, size_t number,
                                        const database::Position& from,
                                        const database::Position& to) {
    Coverage coverage(archive);
    std::optional<std::string> problem = fmt::format("{} is missing", to.file);
    auto ends_in = [&](size_t i) { return !coverage.find_end(series[i], series[i].begin(), to); };
    size_t last = series.size();
    while (last > number + 1 && !ends_in(last - 1)) --last;
    if (last <= number + 1) return problem;
    auto reader =
        coverage.read_from(series[number], from.file, from.offset, parse_gtid_list(from.gtid));
    for (size_t i = number + 1; i < last; ++i) {
        drain(*reader);
        GtidList state = reader->state();
        Series::const_iterator at;
        reader = coverage.join(series[i], state, at);
        const std::string& name = archive.segments()[series[i][0]].incarnation;
        if (!reader) return fmt::format("{} does not go on after {}", name, state.position());
        problem = coverage.find_end(series[i], at, to);
        if (!problem) return std::nullopt;
    }
    return problem;
}

}  // namespace

ContinuedReader::ContinuedReader(const LogArchive& archive, const ReadOptions& from, GtidList done)
    : archive_(archive),
      incarnation_(from.incarnation),
      count_rows_(from.count_rows),
      done_(std::move(done)),
      reader_(std::make_unique<TransactionReader>(archive, from)) {}

GtidList ContinuedReader::state() const {
    GtidList state = done_;
    state.add_all(reader_->state());
    return state;
}

bool ContinuedReader::next(Transaction& transaction) {
    for (;;) {
        if (reader_->next(transaction)) return true;
        const GtidList state = this->state();
        std::unique_ptr<TransactionReader> next;
        for (const Series& series : all_series(archive_)) {
            const std::string& name = archive_.segments()[series[0]].incarnation;
            if (name <= incarnation_) continue;
            Series::const_iterator at;
            next = Coverage(archive_).join(series, state, at, count_rows_);
            if (next) incarnation_ = name;
            break;
        }
        if (!next) return false;
        reader_ = std::move(next);
        done_ = state;
    }
}

std::optional<std::string> missing_between(const LogArchive& archive,
                                           const database::Position& from,
                                           const database::Position& to) {
    if (from.gtid == to.gtid) return std::nullopt;
    if (from.file.empty() || to.file.empty()) return "the server wrote no binlog";
    Coverage coverage(archive);
    std::vector<Series> series = all_series(archive);
    std::optional<std::string> problem = "there is no binlog";
    for (size_t i = 0; i < series.size(); ++i) {
        Series::const_iterator first;
        auto why = coverage.find_start(series[i], from, first);
        if (!why) {
            why = coverage.find_end(series[i], first, to);
            bool before = from.file == to.file && from.offset > to.offset;
            if (!why && before) why = fmt::format("{} comes after {}", from.offset, to.offset);
            if (!why) return std::nullopt;
            auto over = missing_over(archive, series, i, from, to);
            if (!over) return std::nullopt;
        }
        problem = why;
    }
    return problem;
}

std::optional<LogEnd> log_end(const LogArchive& archive, const database::Position& from,
                              uint64_t limit) {
    if (from.file.empty()) return std::nullopt;
    Coverage coverage(archive);
    std::vector<Series> series = all_series(archive);
    for (size_t i = 0; i < series.size(); ++i) {
        Series::const_iterator at;
        if (coverage.find_start(series[i], from, at)) continue;
        uint64_t bytes = 0;
        for (auto file = at; file != series[i].end(); ++file)
            bytes += archive.segments()[*file].size;
        for (size_t later = i + 1; later < series.size(); ++later)
            for (size_t file : series[later]) bytes += archive.segments()[file].size;
        bytes -= std::min(bytes, from.offset);
        if (bytes > limit) return std::nullopt;
        GtidList done = parse_gtid_list(from.gtid);
        ContinuedReader reader(archive,
                               {.incarnation = archive.segments()[*at].incarnation,
                                .file = from.file,
                                .offset = from.offset,
                                .state = done,
                                .count_rows = false},
                               done);
        auto last = drain(reader);
        if (!last) return std::nullopt;
        return LogEnd{.position = {.gtid = reader.state().position(),
                                   .file = last->file,
                                   .offset = last->end,
                                   .server = incarnation_server(last->incarnation)},
                      .time = last->time};
    }
    return std::nullopt;
}

}  // namespace sevenfold::database::mariadb
