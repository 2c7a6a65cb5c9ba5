// The receiver's word on how protected the newest transactions are, and its record of gaps.
#include <fmt/format.h>

#include "core/log.h"
#include "database/mariadb/stream/receiver.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kSaveEvery = std::chrono::seconds(1);
constexpr size_t kMaxGaps = 100;
constexpr int kLooksApart = 5;

}  // namespace

// Time passes, the server is looked at, the state may change.
void Receiver::tick(bool force) {
    auto now = Clock::now();
    if (!force && now - last_tick_ < kTick) return;
    double seconds = std::chrono::duration<double>(now - last_tick_).count();
    last_tick_ = now;
    {
        std::lock_guard lock(mutex_);
        if (state_.protection != Protection::armed) state_.unprotected_seconds += seconds;
    }
    if (mirror_) {
        Mirror::Status status = mirror_->status();
        if (!second_ok_ && status.copied && durable_ <= *status.copied && connected_)
            second_ok_ = true;
        if (second_ok_ && !status.connected && status.failure.size() > 0) second_ok_ = false;
        std::lock_guard lock(mutex_);
        if (state_.second != status.copied) changed_ = true;
        state_.second = status.copied;
    }
    Watch::Look look = watch_->look();
    bool new_look = look.number != last_look_;
    if (new_look) {
        last_look_ = look.number;
        // Commits that the server did not let wait to the end, though we thought it does. Others
        // are counted when they come.
        std::lock_guard lock(mutex_);
        if (look.status && last_status_ && look.status->uptime >= last_status_->uptime &&
            look.status->no_tx > last_status_->no_tx && state_.protection == Protection::armed) {
            state_.unprotected_transactions += look.status->no_tx - last_status_->no_tx;
            changed_ = true;
        }
        if (look.status) last_status_ = look.status;
    }
    if (new_look && look.status && connected_) compare_ends(*look.status);
    assess();
    if (changed_ && now - last_save_ > kSaveEvery) save();
}

// After RESET MASTER the server goes on sending heartbeats of a file that is no more; only its own
// end tells. That may also lag behind what it has sent, for as long as commits wait. So where the
// two ends stay apart, we connect anew: then what we have is compared with what the server has.
void Receiver::compare_ends(const SemiSyncStatus& status) {
    if (log_ == nullptr || log_->fresh() || status.file.empty()) return;
    const LogPosition& ours = log_->spool().end();
    std::pair ends(ours, LogPosition{ours.incarnation, status.file, status.offset});
    looks_apart_ = ends == ends_at_look_ && ends.first != ends.second ? looks_apart_ + 1 : 0;
    ends_at_look_ = ends;
    if (looks_apart_ < kLooksApart || ends == doubted_) return;
    doubted_ = ends;
    throw Error(ErrorKind::network,
                fmt::format("the server's binlog ends at {}:{}, but nothing comes after {}:{}",
                            status.file, status.offset, ours.file, ours.offset));
}

void Receiver::assess() {
    watch_->want_canary(false);
    if (!connected_) return set_protection(Protection::broken, broken_reason_);
    if (log_ && log_->fresh())
        return set_protection(Protection::broken, "waiting for the server's first event");
    if (!options_.semi_sync)
        return set_protection(Protection::degraded, "asynchronous by configuration");
    if (mirror_ && !second_ok_) {
        Mirror::Status status = mirror_->status();
        return set_protection(Protection::degraded,
                              status.connected ? "the second spool is behind"
                              : status.failure.empty()
                                  ? "the second spool is not connected yet"
                                  : "the second spool fails: " + status.failure);
    }
    Watch::Look look = watch_->look();
    if (!look.status) {
        // An answer that is late does not undo what was proven.
        if (state_.protection != Protection::armed)
            set_protection(Protection::degraded, "the server's semi-sync status is not known yet");
        return;
    }
    if (!look.status->enabled)
        return set_protection(Protection::degraded,
                              "rpl_semi_sync_master_enabled is OFF at the server");
    bool proven = acked_ && baseline_ && look.status->yes_tx > baseline_->yes_tx;
    watch_->want_canary(!look.status->on || !proven);
    if (!look.status->on)
        return set_protection(Protection::degraded, "the server does not wait for the receiver");
    if (!proven)
        return set_protection(Protection::degraded, "no commit has waited for the receiver yet");
    set_protection(Protection::armed, "");
}

void Receiver::set_protection(Protection protection, const std::string& reason) {
    StreamState copy;
    {
        std::lock_guard lock(mutex_);
        if (state_.protection == protection) {
            state_.reason = reason;
            return;
        }
        state_.protection = protection;
        state_.reason = reason;
        state_.since = sevenfold::Clock::system().now();
        copy = state_;
    }
    if (protection == Protection::armed)
        log_info("stream: armed");
    else
        log_warning("stream: {}: {}", name(protection), reason);
    changed_ = true;
    save();
    if (callbacks_.on_state) callbacks_.on_state(copy);
}

void Receiver::begin_gap(const std::string& reason) {
    log_error("stream: gap: {}", reason);
    broken_reason_ = "gap: " + reason;
    {
        std::lock_guard lock(mutex_);
        StreamGap gap{.time = sevenfold::Clock::system().now(), .reason = reason};
        if (log_ && !log_->fresh()) {
            gap.from = log_->boundary();
            if (log_->state()) gap.from_gtid = log_->state()->position();
        } else {
            gap.from = state_.position;
            gap.from_gtid = state_.gtid;
        }
        if (joining_) gap.from_gtid = joining_->position();
        state_.joining.clear();
        // A second trouble before anything came is still the same gap.
        if (!gap_open_) state_.gaps.push_back(gap);
        if (state_.gaps.size() > kMaxGaps) state_.gaps.erase(state_.gaps.begin());
    }
    gap_open_ = true;
    joining_.reset();
    elsewhere_ = false;
    if (log_) log_->begin_anew();
    save();
}

void Receiver::end_gap() {
    StreamGap gap;
    {
        std::lock_guard lock(mutex_);
        state_.gaps.back().incarnation = log_->boundary().incarnation;
        state_.gaps.back().to_gtid = log_->state()->position();
        gap = state_.gaps.back();
    }
    gap_open_ = false;
    log_error("stream: {} begins; transactions after {} may be missing; a new base is needed",
              gap.incarnation, gap.from_gtid.empty() ? "the start" : gap.from_gtid);
    save();
    if (callbacks_.on_gap) callbacks_.on_gap(gap);
}

void Receiver::failed(const Error& error) {
    broken_reason_ = error.message();
    if (error.message() != last_failure_)
        log_warning("stream: {}{}{}", error.message(), error.hint().empty() ? "" : "\n",
                    error.hint());
    last_failure_ = error.message();
}

void Receiver::save() {
    last_save_ = Clock::now();
    changed_ = false;
    try {
        save_state(options_.spool, state());
    } catch (const Error& error) {
        // The disk may be full: what counts is in the files.
        log_warning("stream: {}", error.message());
    }
}

}  // namespace sevenfold::database::mariadb
