#include "database/mariadb/stream/receiver.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"
#include "crypto/sha256.h"
#include "database/mariadb/grants.h"

namespace sevenfold::database::mariadb {
namespace {

// So long without even a heartbeat: the connection is dead, though nobody said so.
constexpr int kHeartbeatsMissed = 5;
constexpr int kMaxRefusals = 3;

bool is_final(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::internal:
        case ErrorKind::usage:
        case ErrorKind::config:
        case ErrorKind::locked:
        case ErrorKind::unsupported:
        case ErrorKind::refused:  // but a Discontinuity
        case ErrorKind::interrupted:
            return true;
        default:
            return false;
    }
}

// Of the last transactions in `wanted`, one that `state` does not have: the very same one, not one
// of its number by another server.
std::optional<Gtid> first_missing(const GtidList& state, const GtidList& wanted) {
    std::vector<Gtid> have = state.all();
    for (const Gtid& gtid : parse_gtid_list(wanted.position()).all()) {
        bool there = std::ranges::any_of(have, [&](const Gtid& h) {
            return h.domain == gtid.domain && h.server_id == gtid.server_id &&
                   h.sequence >= gtid.sequence;
        });
        if (!there) return gtid;
    }
    return std::nullopt;
}

}  // namespace

uint32_t receiver_server_id(const std::string& host, const std::string& spool) {
    Id hash = crypto::sha256(as_bytes("sevenfold stream\n" + host + "\n" + spool));
    // Above what people number their servers with.
    return get_le32(hash.bytes.data()) | 0x40000000u;
}

// What was received since the last sync.
struct Receiver::Group {
    uint64_t bytes = 0, transactions = 0, flagged = 0;
    Clock::time_point begun;
    std::string ack_file;
    uint64_t ack_end = 0;  // 0: nobody waits
    bool joined = false;
    bool empty() const { return bytes == 0 && ack_end == 0; }
};

Receiver::Receiver(ReceiverOptions options, ReceiverCallbacks callbacks)
    : options_(std::move(options)), callbacks_(std::move(callbacks)) {
    if (options_.server_id == 0) throw Error(ErrorKind::usage, "a receiver needs a server id");
    log_ = std::make_unique<ReceivedLog>(options_.spool, options_.last_incarnation);
    if (auto saved = load_state(options_.spool)) state_ = *saved;
    if (!state_.joining.empty()) joining_ = parse_gtid_list(state_.joining);
    state_.protection = Protection::broken;
    state_.reason = broken_reason_;
    state_.since = sevenfold::Clock::system().now();
    if (!state_.gaps.empty() && state_.gaps.back().incarnation.empty()) {
        gap_open_ = true;  // it was noticed, and nothing has come since
        log_->begin_anew();
    }
    if (!log_->fresh()) {
        // What the files say counts: the state is written now and then only.
        state_.position = durable_ = log_->boundary();
        state_.gtid = log_->state() ? log_->state()->position() : "";
    } else if (!state_.position.file.empty() && !gap_open_) {
        begin_gap("the spool has lost what was received");
    } else if (!gap_open_ && options_.continue_after) {
        joining_ = parse_gtid_list(options_.continue_after->gtid);
        join_begins_ = true;
        state_.joining = joining_->position();
    }
    if (options_.connect_second) {
        // What was cut off when recovering does not count as copied.
        std::optional<LogPosition> copied = state_.second;
        if (copied && durable_ < *copied) copied = durable_;
        mirror_ = std::make_unique<Mirror>(MirrorOptions{.spool = options_.spool,
                                                         .name = options_.second_name,
                                                         .connect = options_.connect_second,
                                                         .copied = copied});
        if (!log_->fresh()) mirror_->request(durable_);
    }
    watch_ = std::make_unique<Watch>(
        WatchOptions{.connection = options_.connection,
                     .every = options_.watch_every,
                     .canary = options_.semi_sync ? options_.canary : std::string()});
    last_tick_ = last_save_ = Clock::now();
}

Receiver::~Receiver() = default;

StreamState Receiver::state() const {
    std::lock_guard lock(mutex_);
    return state_;
}

void Receiver::run(const std::stop_token& stop) {
    auto pause = options_.retry_first;
    while (!stop.stop_requested()) {
        auto begun = Clock::now();
        try {
            if (!log_)
                log_ = std::make_unique<ReceivedLog>(options_.spool, options_.last_incarnation);
            session(stop);
            broken_reason_ = "stopped";
        } catch (const Discontinuity& why) {
            // Another server's file may have the same name: then it is followed by GTID.
            bool other = log_ && !log_->fresh() && !joining_ && is_another_server();
            if (other && !std::exchange(elsewhere_, true))
                failed(why);
            else
                begin_gap(why.message());
        } catch (...) {
            Error error = current_error();
            if (is_final(error.kind())) {
                failed(error);
                save();
                throw error;
            }
            failed(error);
        }
        connected_ = false;
        watch_->set_receiving(false);
        tick(true);
        if (Clock::now() - begun > std::chrono::seconds(10)) pause = options_.retry_first;
        for (auto until = Clock::now() + pause; Clock::now() < until && !stop.stop_requested();) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            tick();
        }
        pause = std::min(pause * 2, options_.retry_most);
    }
    save();
}

void Receiver::session(const std::stop_token& stop) {
    ReplicationClient client({.connection = options_.connection,
                              .server_id = options_.server_id,
                              .semi_sync = options_.semi_sync,
                              .heartbeat = options_.heartbeat});
    try {
        start(client);
        receive(client, stop);
    } catch (const sql::ServerError& error) {
        if (error.number != kErrorReadingBinlog) throw;
        // It may be a passing trouble of the server's; what it says again and again is true.
        if (++refusals_ < kMaxRefusals || log_->fresh()) throw;
        refusals_ = 0;
        throw Discontinuity(error.message());
    }
}

void Receiver::check_server(sql::MariadbConnection& connection) {
    if (!options_.allow_privileged) refuse_privileged(connection, Feature::stream);
    if (connection.value("SELECT @@global.log_bin") != "1")
        throw Error(
            ErrorKind::config, "the server writes no binlog",
            "Set log_bin in its configuration; `sevenfold stream check` shows all settings.");
    std::string version = connection.server_version();
    auto id = static_cast<uint32_t>(
        std::stoul(connection.value("SELECT @@global.server_id").value_or("0")));
    std::lock_guard lock(mutex_);
    if (!state_.server_version.empty() && state_.server_version != version)
        log_warning("the server's version changed from {} to {}", state_.server_version, version);
    state_.server_version = version;
    state_.server_id = id;
}

// Whether the server's history contains ours up to where we are.
void Receiver::check_continuity(sql::MariadbConnection& connection) {
    LogPosition at = log_->boundary();
    if (!log_->state() || at.offset > UINT32_MAX) return;
    auto theirs = connection.value(
        fmt::format("SELECT BINLOG_GTID_POS({}, {})", sql::quote_text(at.file), at.offset));
    if (!theirs)
        throw Discontinuity(
            fmt::format("the server does not have {} up to {} any more", at.file, at.offset));
    std::string ours = log_->state()->position();
    if (parse_gtid_list(*theirs).position() != ours)
        throw Discontinuity(
            fmt::format("up to {}:{} the server has the transactions {}, but {} "
                        "were received",
                        at.file, at.offset, *theirs, ours));
}

void Receiver::start(ReplicationClient& client) {
    sql::MariadbConnection& connection = client.connection();
    check_server(connection);
    baseline_ = read_semi_sync(connection);
    acked_ = greeted_ = false;
    if (!log_->fresh() && is_another_server() && !continues_here(connection)) follow_server();
    if (!log_->fresh()) {
        if (!is_another_server()) check_continuity(connection);
        ReceivedLog::Resume resume = log_->resume();
        durable_ = log_->boundary();
        if (mirror_) mirror_->rewind(durable_);
        client.dump(resume.file, resume.offset);
    } else if (gap_open_) {
        client.dump("", 4);  // the oldest there is
    } else {
        client.dump(first_file(connection), 4);
    }
    history_.reset();
    if (log_->fresh()) history_ = LogPosition{{}, baseline_->file, baseline_->offset};
    connected_ = true;
    last_heard_ = Clock::now();
    looks_apart_ = 0;
    watch_->set_receiving(true);
}

bool Receiver::is_another_server() const {
    uint32_t ours = incarnation_server(log_->boundary().incarnation);
    return ours != 0 && ours != state_.server_id;
}

// The same files under a new id: the server was renumbered.
bool Receiver::continues_here(sql::MariadbConnection& connection) {
    if (elsewhere_) return false;
    try {
        check_continuity(connection);
        return true;
    } catch (const Discontinuity&) {
        return false;
    } catch (const sql::ServerError& error) {
        if (error.kind() == ErrorKind::network) throw;
        return false;
    }
}

// A new incarnation begins, of its files, if its history contains ours.
void Receiver::follow_server() {
    if (!log_->state()) throw Discontinuity("it is another server, and no GTIDs were received");
    log_warning("stream: server {} answers instead of server {}; it goes on after {}",
                state_.server_id, incarnation_server(log_->boundary().incarnation),
                log_->state()->position());
    joining_ = *log_->state();
    join_begins_ = true;
    {
        std::lock_guard lock(mutex_);
        state_.joining = joining_->position();
    }
    log_->begin_anew();
    save();
}

// The server has what was received, and it is the same.
void Receiver::check_history(sql::MariadbConnection& connection) {
    GtidList theirs =
        parse_gtid_list(connection.value("SELECT @@global.gtid_binlog_state").value_or(""));
    if (auto lacking = first_missing(theirs, *joining_)) {
        auto now = Clock::now();
        if (!behind_) behind_ = now;
        std::string what = fmt::format(
            "server {} does not have the transaction {}, up to which "
            "the log was received",
            state_.server_id, lacking->display());
        if (now - *behind_ < options_.behind_limit)
            throw Error(ErrorKind::network, what,
                        "It is waited for: a replica may be catching up.");
        behind_.reset();
        throw Discontinuity(what);
    }
    behind_.reset();
    // After RESET MASTER a server gives the same GTIDs to other transactions.
    const auto& known = options_.continue_after;
    if (!state_.position.file.empty() || !known || known->server != state_.server_id) return;
    auto there = connection.value(
        fmt::format("SELECT BINLOG_GTID_POS({}, {})", sql::quote_text(known->file), known->offset));
    if (!there || parse_gtid_list(*there).position() != joining_->position())
        throw Discontinuity(fmt::format("the server does not have {} up to {} any more",
                                        known->file, known->offset));
}

// Whether the other server's log really leads on from what was received.
void Receiver::check_joined() {
    if (!joining_ || !log_->state()) return;
    const GtidList& state = *log_->state();
    if (std::exchange(join_begins_, false) && !joining_->contains_all(state))
        throw Discontinuity(fmt::format("the server's log begins after {}, but {} was received",
                                        state.position(), joining_->position()));
    auto lacking = first_missing(state, *joining_);
    if (!lacking) {
        log_info("stream: nothing is missing after {}", joining_->position());
        joining_.reset();
        std::lock_guard lock(mutex_);
        state_.joining.clear();
        changed_ = true;
        return;
    }
    auto last = state.last(lacking->domain);
    if (last && last->sequence > lacking->sequence)
        throw Discontinuity(fmt::format("the server's log goes on with {}, but does not hold {}",
                                        last->display(), lacking->display()));
}

// Of the server, where a new incarnation begins.
std::string Receiver::first_file(sql::MariadbConnection& connection) {
    if (joining_) {
        check_history(connection);
        ReplicationClient finder({.connection = options_.connection,
                                  .server_id = options_.server_id,
                                  .semi_sync = false,
                                  .heartbeat = options_.heartbeat});
        try {
            return finder.find_file(joining_->position());
        } catch (const sql::ServerError& error) {
            if (error.number != kErrorReadingBinlog) throw;
            throw Discontinuity(fmt::format("the server does not have what follows {}: {}",
                                            joining_->position(), error.message()));
        }
    }
    if (!options_.first_file.empty()) return options_.first_file;
    auto rows = connection.query("SHOW STATUS LIKE 'binlog_snapshot_file'");
    return rows.empty() || rows[0].size() < 2 ? std::string() : rows[0][1].value_or("");
}

void Receiver::receive(ReplicationClient& client, const std::stop_token& stop) {
    Group group;
    while (!stop.stop_requested()) {
        std::chrono::milliseconds patience{100};
        if (group.ack_end != 0)
            patience = std::chrono::milliseconds{0};
        else if (!group.empty())
            patience = std::min(patience, options_.sync_every);
        bool more = client.wait(patience);
        if (more) {
            take(client, group);
            last_heard_ = Clock::now();
        } else if (Clock::now() - last_heard_ > kHeartbeatsMissed * options_.heartbeat) {
            throw Error(ErrorKind::timeout, "nothing came from the server, not even a heartbeat");
        }
        if (!group.empty() && ((!more && group.ack_end != 0) || due(group))) finish(client, group);
        tick();
    }
    if (!group.empty()) finish(client, group);
}

bool Receiver::due(const Group& group) const {
    auto age = Clock::now() - group.begun;
    if (group.bytes >= options_.group_bytes) return true;
    return age >= (group.ack_end != 0 ? options_.group_time : options_.sync_every);
}

void Receiver::take(ReplicationClient& client, Group& group) {
    ReceivedEvent event = client.read();
    ReceivedLog::Added added;
    try {
        added = log_->add(event.bytes);
    } catch (const Discontinuity&) {
        throw;
    } catch (const Error& error) {
        // What could not be written may be there in part: only the files can tell.
        if (error.kind() != ErrorKind::corrupt) log_.reset();
        throw;
    }
    if (added.incarnation) elsewhere_ = false;
    if (joining_ && added.stored) check_joined();
    if (group.empty()) group.begun = Clock::now();
    if (added.stored) group.bytes += event.bytes.size();
    if (added.transaction) {
        ++group.transactions;
        refusals_ = 0;
    }
    if (event.ack_wanted && !added.file.empty()) {
        ++group.flagged;
        group.ack_file = added.file;
        group.ack_end = added.end;
    }
    // Our first word, before any commit needs it: the server trusts us from then on.
    if (!greeted_ && client.has_flags() && log_->joined()) {
        greeted_ = true;
        group.ack_file = log_->spool().end().file;
        group.ack_end = log_->spool().end().offset;
    }
    if (gap_open_ && !log_->fresh() && log_->state()) end_gap();
    if (log_->statement_format() && !warned_statement_) {
        warned_statement_ = true;
        log_warning(
            "a change was logged as a statement, not as rows: replaying it may give other "
            "data. Set binlog_format=ROW.");
    }
}

// Everything in the group becomes durable, then those who wait are told.
void Receiver::finish(ReplicationClient& client, Group& group) {
    LogPosition end;
    try {
        log_->spool().flush();
        end = log_->spool().end();
        if (mirror_) mirror_->request(end);  // goes on while we sync
        log_->spool().sync();
    } catch (...) {
        log_.reset();
        throw;
    }
    bool second = second_has(end);
    // What the server had before the stream began was never promised to anybody.
    bool history =
        history_ && end <= LogPosition{end.incarnation, history_->file, history_->offset};
    if (!history) history_.reset();
    if (group.ack_end != 0) {
        client.ack(group.ack_file, group.ack_end);
        acked_ = true;
    }
    durable_ = end;
    {
        std::lock_guard lock(mutex_);
        state_.position = log_->boundary();
        if (log_->state()) state_.gtid = log_->state()->position();
        state_.transactions += group.transactions;
        state_.acknowledged += group.flagged;
        // A commit was safe when its client learned of it only if the server waited for our word.
        bool armed = second && state_.protection == Protection::armed;
        uint64_t safe = armed ? std::min(group.flagged, group.transactions) : 0;
        if (!history) state_.unprotected_transactions += group.transactions - safe;
        state_.bytes += group.bytes;
        if (group.transactions > 0) state_.last_received = sevenfold::Clock::system().now();
    }
    changed_ = true;
    if (callbacks_.on_synced)
        callbacks_.on_synced({state_.position, state_.gtid, group.bytes, second});
    group = {};
}

// Whether the second spool has it; falls back to the local one alone, and comes back.
bool Receiver::second_has(const LogPosition& position) {
    if (!mirror_) return true;
    if (second_ok_) {
        second_ok_ = mirror_->wait(position, options_.second_limit);
        if (!second_ok_)
            log_error("second spool {}: no answer within {} ms; commits go on with one spool",
                      options_.second_name, options_.second_limit.count());
    } else if (mirror_->status().connected) {
        // Only a moment: production must not feel that we catch up.
        second_ok_ = mirror_->wait(position, options_.second_limit / 20);
    }
    return second_ok_;
}

}  // namespace sevenfold::database::mariadb
