#include "database/mariadb/source/internal/dump.h"

#include <algorithm>

namespace sevenfold::database::mariadb::source {

namespace {
constexpr uint64_t kMarkEvery = 256 << 10;
}

void Window::reset() {
    std::lock_guard lock(mutex_);
    marks_.clear();
    sent_ = marked_ = applied_ = 0;
}

void Window::sent(const Gtid& gtid, uint64_t bytes) {
    std::lock_guard lock(mutex_);
    sent_ += bytes;
    if (size_ == 0 || sent_ - marked_ < kMarkEvery) return;
    marks_.push_back({gtid, sent_});
    marked_ = sent_;
}

void Window::applied(const Position& position) {
    std::lock_guard lock(mutex_);
    while (!marks_.empty()) {
        const Gtid* have = position.find(marks_.front().gtid.domain);
        if (have == nullptr || have->sequence < marks_.front().gtid.sequence) break;
        applied_ = marks_.front().bytes;
        marks_.pop_front();
    }
    changed_.notify_all();
}

// Without marks nothing can be reported: less than one mark's distance is under way then.
bool Window::open() const {
    std::lock_guard lock(mutex_);
    return size_ == 0 || marks_.empty() || sent_ - applied_ < size_;
}

bool Window::wait(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(
        lock, patience, [&] { return size_ == 0 || marks_.empty() || sent_ - applied_ < size_; });
}

Dump::Dump(DumpContext context, PacketSocket& socket, bool annotate,
           std::chrono::milliseconds heartbeat)
    : context_(std::move(context)), socket_(socket), annotate_(annotate), heartbeat_(heartbeat) {}

void Dump::send(ByteView event) {
    constexpr uint8_t kNoError = 0;
    socket_.write(event, ByteView(&kNoError, 1));
    context_.update([&](SourceStats& stats) { stats.bytes += event.size(); });
}

// The replica adds up what it gets and, as events may be left out, believes larger positions that
// events tell. Heartbeats must not be behind that.
void Dump::send_counted(ByteView event) {
    send(event);
    wire_position_ =
        std::max<uint64_t>(wire_position_ + event.size(), decode_header(event).next_position);
}

void Dump::begin_file(const Step& step) {
    constexpr uint64_t kFirst = 4;
    wire_name_ = context_.planned.files[step.place.file].wire_name;
    // Before the first format description counts what the replica was told about checksums, then
    // the one of the file before.
    send(make_fake_rotate(context_.server_id, wire_name_, kFirst, checksum_));
    checksum_ = step.checksum;
    wire_position_ = kFirst;
    Bytes description = sent_description(step.event, step.resumed);
    step.resumed ? send(description) : send_counted(description);
}

void Dump::send_step(const Step& step) {
    if (step.first) {
        group_bytes_ = 0;
        edit_ = context_.edits.of(*step.begin);
        context_.update([&](SourceStats& stats) { stats.last = step.begin->gtid; });
        if (edit_.kind != Edit::none)
            for (const Bytes& event : make_transaction(step, edit_)) send_counted(event);
    }
    group_bytes_ += step.event.header.size;
    bool pass = edit_.kind == Edit::none &&
                (annotate_ || step.event.header.type != EventType::annotate_rows);
    if (pass) send_counted(step.event.raw);
    if (!step.last) return;
    context_.window.sent(step.begin->gtid, group_bytes_);
    context_.update([](SourceStats& stats) { ++stats.transactions; });
}

bool Dump::idle(const std::stop_token& stop, const std::function<bool()>& until) {
    constexpr std::chrono::milliseconds kLook{50};
    socket_.flush();
    auto next = std::chrono::steady_clock::now() + heartbeat_;
    while (!until()) {
        if (stop.stop_requested()) return false;
        if (socket_.readable(kLook)) return false;  // it has nothing to say but goodbye
        if (heartbeat_.count() == 0 || std::chrono::steady_clock::now() < next) continue;
        next += heartbeat_;
        // A position beyond 4 GiB cannot be told; the replica then asks again after a while.
        if (wire_position_ > UINT32_MAX) continue;
        Bytes beat = make_heartbeat(context_.server_id, wire_name_,
                                    static_cast<uint32_t>(wire_position_), checksum_);
        constexpr uint8_t kNoError = 0;
        socket_.write(beat, ByteView(&kNoError, 1));
        socket_.flush();
    }
    return true;
}

void Dump::run(const Position& position, const std::stop_token& stop) {
    const PlannedSeries& planned = context_.planned;
    size_t first = find_start(context_.archive, planned.files, position);
    Walker walker(context_.archive, planned.files, first, position);
    walker.skip_torn(planned.torn);
    context_.window.reset();
    context_.update([](SourceStats& stats) {
        ++stats.dumps;
        stats.at_end = false;
    });
    while (std::optional<Step> step = walker.next()) {
        if (stop.stop_requested()) return;
        bool beyond = step->place >= planned.end;
        if (beyond && step->kind == Step::transaction) break;
        if (step->kind == Step::begins_file) begin_file(*step);
        if (step->kind != Step::transaction) continue;
        if (step->wanted) {
            if (step->first && !context_.window.open() &&
                !idle(stop, [&] { return context_.window.open(); }))
                return;
            send_step(*step);
        } else if (step->last) {
            context_.edits.of(*step->begin);  // a dropped XA transaction may end later
        }
    }
    context_.update([](SourceStats& stats) { stats.at_end = true; });
    idle(stop, [] { return false; });
}

}  // namespace sevenfold::database::mariadb::source
