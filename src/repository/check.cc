#include "repository/check.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/units.h"
#include "repository/internal/checker.h"

namespace sevenfold::repository {
namespace {

constexpr unsigned kMaxBuckets = 256;  // a bucket is chosen by a pack id's first byte

bool parse_count(std::string_view text, unsigned& out) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

ReadData parse_read_data_subset(std::string_view text) {
    auto bad = [&](std::string_view why) {
        return Error(ErrorKind::usage,
                     fmt::format("invalid subset \"{}\": {}", text.substr(0, 64), why),
                     "Write a part like 1/5, a percentage like 2.5% or a size like 50G.");
    };
    ReadData out;
    if (size_t slash = text.find('/'); slash != text.npos) {
        out.kind = ReadData::Kind::bucket;
        if (!parse_count(text.substr(0, slash), out.bucket) ||
            !parse_count(text.substr(slash + 1), out.buckets))
            throw bad("not two whole numbers");
        if (out.bucket == 0 || out.bucket > out.buckets || out.buckets > kMaxBuckets)
            throw bad(fmt::format("n/t needs 1 <= n <= t <= {}", kMaxBuckets));
        return out;
    }
    if (text.ends_with('%')) {
        out.kind = ReadData::Kind::percent;
        const char* end = text.data() + text.size() - 1;
        auto [stopped, error] = std::from_chars(text.data(), end, out.percent);
        if (error != std::errc() || stopped != end) throw bad("not a number");
        if (!(out.percent > 0 && out.percent <= 100))
            throw bad("a percentage is above 0 and at most 100");
        return out;
    }
    out.kind = ReadData::Kind::bytes;
    std::optional<uint64_t> bytes = parse_size(text);
    if (!bytes || *bytes == 0) throw bad("not a size");
    out.bytes = *bytes;
    return out;
}

CheckReport check(Repository& repository, const CheckOptions& options, Progress* progress) {
    return internal::Checker(repository, options, progress).run();
}

namespace internal {

CheckReport Checker::run() {
    phase("keys and locks");
    check_keys();
    check_locks();
    // Readers go from snapshots to index to packs: what a backup adds meanwhile is then complete.
    // The list of packs comes last, so that no pack that the index names is younger than the list.
    phase("snapshots");
    load_snapshots();
    phase("index");
    load_index();
    phase("packs");
    list_packs();
    compare_packs();
    phase("trees");
    walk();
    if (options_.read_data.kind != ReadData::Kind::none) {
        phase("data");
        read_packs();
    }
    salvage();
    if (anything_lost()) {
        phase("affected snapshots");
        find_affected();
    }
    report_.broken_packs.assign(broken_.begin(), broken_.end());
    close_findings();
    return std::move(report_);
}

void Checker::find(Sort sort, Severity severity, std::string object, std::string message) {
    std::lock_guard lock(mutex_);
    ++(severity == Severity::error ? report_.errors : report_.warnings);
    if (progress_ && severity == Severity::error) ++progress_->errors;
    severities_[static_cast<size_t>(sort)] = severity;
    if (++counts_[static_cast<size_t>(sort)] <= options_.max_findings)
        report_.findings.push_back({severity, std::move(object), std::move(message)});
}

void Checker::close_findings() {
    constexpr std::string_view kNames[] = {"keys",  "locks",           "index", "snapshots",
                                           "packs", "unindexed packs", "trees", "missing blobs"};
    static_assert(std::size(kNames) == static_cast<size_t>(Sort::count_));
    for (size_t i = 0; i < counts_.size(); ++i)
        if (counts_[i] > options_.max_findings)
            report_.findings.push_back(
                {severities_[i], std::string(kNames[i]),
                 fmt::format("{} more findings of this sort are not listed",
                             format_count(counts_[i] - options_.max_findings))});
    if (missing_references_ > 0)
        report_.findings.push_back(
            {Severity::error, "missing blobs",
             fmt::format("{} more references to missing blobs are not listed",
                         format_count(missing_references_))});
}

void Checker::check_stop() const {
    if (options_.stop.stop_requested()) throw Error(ErrorKind::interrupted, "check interrupted");
}

void Checker::phase(std::string what) {
    check_stop();
    if (!progress_) return;
    progress_->items_total = progress_->items_done = 0;
    progress_->bytes_total = progress_->bytes_done = 0;
    progress_->totals_known = false;
    progress_->set_current(std::move(what));
}

}  // namespace internal
}  // namespace sevenfold::repository
