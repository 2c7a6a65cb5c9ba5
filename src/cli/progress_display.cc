#include "cli/progress_display.h"

#include "cli/utf8.h"
#include "core/log.h"
#include "core/units.h"

namespace sevenfold::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kRedraw = 200ms;
constexpr auto kLineEvery = 30s;
constexpr auto kRateWindow = 10s;

std::string remaining(const ProgressSample& s, double bytes_per_second, double items_per_second) {
    double seconds = -1;
    if (s.bytes_total > 0 && bytes_per_second > 0)
        seconds = static_cast<double>(s.bytes_total - std::min(s.bytes_total, s.bytes_done)) /
                  bytes_per_second;
    else if (s.bytes_total == 0 && s.items_total > 0 && items_per_second > 0)
        seconds = static_cast<double>(s.items_total - std::min(s.items_total, s.items_done)) /
                  items_per_second;
    if (seconds < 0 || seconds > 1e7) return {};
    auto whole = std::chrono::seconds(static_cast<int64_t>(seconds) + 1);
    return format_duration(whole) + " left";
}

int percent(const ProgressSample& s) {
    const bool bytes = s.bytes_total > 0;
    const auto total = static_cast<double>(bytes ? s.bytes_total : s.items_total);
    const auto done = static_cast<double>(bytes ? s.bytes_done : s.items_done);
    if (total == 0) return 0;
    // 100 only when all is done.
    return std::min(static_cast<int>(100 * done / total), done < total ? 99 : 100);
}

}  // namespace

void RateMeter::add(std::chrono::nanoseconds elapsed, uint64_t done) {
    samples_.emplace_back(elapsed, done);
    while (samples_.size() > 2 && elapsed - samples_[1].first >= kRateWindow) samples_.pop_front();
}

double RateMeter::per_second() const {
    if (samples_.size() < 2) return 0;
    double seconds =
        std::chrono::duration<double>(samples_.back().first - samples_.front().first).count();
    if (seconds < 0.1 || samples_.back().second < samples_.front().second) return 0;
    return static_cast<double>(samples_.back().second - samples_.front().second) / seconds;
}

std::string render_progress(const std::string& title, const ProgressSample& s,
                            double bytes_per_second, double items_per_second, size_t width) {
    std::string line = title;
    auto add = [&](const std::string& text) {
        if (!text.empty()) line += "  " + text;
    };
    if (s.totals_known) add(fmt::format("{} %", percent(s)));
    if (s.items_total > 0 || s.items_done > 0)
        add(s.totals_known ? fmt::format("{} of {} items", format_count(s.items_done),
                                         format_count(s.items_total))
                           : fmt::format("{} items", format_count(s.items_done)));
    if (s.bytes_total > 0 || s.bytes_done > 0)
        add(s.totals_known
                ? fmt::format("{} of {}", format_size(s.bytes_done), format_size(s.bytes_total))
                : format_size(s.bytes_done));
    if (bytes_per_second >= 1) add(format_size(static_cast<uint64_t>(bytes_per_second)) + "/s");
    if (s.bytes_stored > 0) add(fmt::format("{} stored", format_size(s.bytes_stored)));
    if (s.errors > 0) add(fmt::format("{} errors", format_count(s.errors)));
    add(s.totals_known ? remaining(s, bytes_per_second, items_per_second)
                       : format_duration(s.elapsed));
    const size_t used = display_width(line);
    if (!s.current.empty() && used + 12 < width)
        add(shorten_front(printable(s.current), width - used - 2));
    return shorten(line, width);
}

ProgressDisplay::ProgressDisplay(Terminal& terminal, const Progress& progress, std::string title)
    : terminal_(terminal),
      progress_(progress),
      title_(std::move(title)),
      start_(std::chrono::steady_clock::now()) {
    if (terminal_.live() || terminal_.options().verbosity > 0)
        thread_ = std::jthread([this](std::stop_token stop) { loop(stop); });
}

ProgressDisplay::~ProgressDisplay() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
    terminal_.status("");
}

void ProgressDisplay::loop(std::stop_token stop) {
    RateMeter bytes, items;
    const bool live = terminal_.live();
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, stop, live ? std::chrono::nanoseconds(kRedraw) : kLineEvery,
                           [&] { return stop.stop_requested(); })) {
        ProgressSample now = sample();
        bytes.add(now.elapsed, now.bytes_done);
        items.add(now.elapsed, now.items_done);
        // One column stays free: a full line would wrap.
        size_t width = live ? terminal_.status_width() - 1 : 200;
        std::string line =
            render_progress(title_, now, bytes.per_second(), items.per_second(), width);
        if (live)
            terminal_.status(line);
        else
            terminal_.note(line);
    }
}

ProgressSample ProgressDisplay::sample() const {
    ProgressSample s;
    s.elapsed = std::chrono::steady_clock::now() - start_;
    s.totals_known = progress_.totals_known.load();
    s.items_total = progress_.items_total.load();
    s.items_done = progress_.items_done.load();
    s.bytes_total = progress_.bytes_total.load();
    s.bytes_done = progress_.bytes_done.load();
    s.bytes_stored = progress_.bytes_stored.load();
    s.errors = progress_.errors.load();
    s.current = progress_.current();
    return s;
}

}  // namespace sevenfold::cli
