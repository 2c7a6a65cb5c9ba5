#include "database/mariadb/stream_driver.h"

#include <fmt/format.h>

#include "core/log.h"
#include "database/mariadb/stream/receiver.h"
#include "database/mariadb/stream/seal.h"
#include "net/ssh_command.h"
#include "os/identity.h"

namespace sevenfold::database {
namespace mariadb {
namespace {

StreamStatus to_status(const StreamState& state) {
    StreamStatus out;
    out.protection = name(state.protection);
    out.reason = state.reason;
    out.since = state.since;
    out.gtid = state.gtid;
    out.file = state.position.file;
    out.offset = state.position.offset;
    out.transactions = state.transactions;
    out.acknowledged = state.acknowledged;
    out.unprotected_transactions = state.unprotected_transactions;
    out.unprotected_seconds = state.unprotected_seconds;
    out.bytes = state.bytes;
    out.last_received = state.last_received;
    for (const StreamGap& gap : state.gaps)
        out.gaps.push_back(fmt::format("{}: after {} ({}): {}", to_display(gap.time),
                                       gap.from_gtid.empty() ? "the start" : gap.from_gtid,
                                       gap.from.display(), gap.reason));
    return out;
}

std::unique_ptr<SpoolTarget> connect_second(const StreamRequest::Second& second) {
    if (second.location.driver == storage::Location::Driver::local)
        return open_folder_target(second.location.path, second.key);
    storage::SftpConnectionOptions options;
    options.command = net::ssh_subsystem_command(
        {second.location.host, second.location.user, second.location.port}, "sftp", second.ssh_args,
        false);
    options.location = second.location.display();
    options.stall_timeout = std::chrono::seconds(10);
    return open_sftp_target(options, second.location.path, second.key);
}

class MariadbReceiver : public LogReceiver {
  public:
    MariadbReceiver(const sql::MariadbOptions& login, const StreamRequest& request,
                    const StreamCallbacks& callbacks)
        : receiver_(options_for(login, request), callbacks_for(callbacks)),
          sealer_({.spool = request.spool,
                   .database = request.database,
                   .host = os::host_name(),
                   .user = os::user_name()}) {}

    void run(std::stop_token stop) override { receiver_.run(stop); }
    StreamStatus status() const override { return to_status(receiver_.state()); }

    std::vector<Sealed> seal(const std::vector<Place>& places) override {
        std::vector<Sealed> out;
        LogPosition until = receiver_.state().position;
        if (until.incarnation.empty()) return out;  // nothing was received yet
        std::vector<SealPlace> targets;
        for (const Place& place : places) targets.push_back({place.name, place.repository});
        for (SealedPlace& sealed : sealer_.seal(targets, until)) {
            if (sealed.not_removed)
                log_debug("place {}: {}", sealed.name, sealed.not_removed->message());
            out.push_back({sealed.name, sealed.bytes, sealed.snapshot.has_value(), sealed.error});
        }
        return out;
    }

    size_t trim(std::chrono::seconds keep) override { return sealer_.trim(keep); }

  private:
    static ReceiverOptions options_for(const sql::MariadbOptions& login,
                                       const StreamRequest& request) {
        ReceiverOptions options;
        options.connection = login;
        options.server_id = receiver_server_id(os::host_name(), request.spool);
        options.spool = request.spool;
        options.semi_sync = request.acknowledge;
        options.first_file = request.first_file;
        if (request.canary) options.canary = kCanaryStatement;
        if (request.second) {
            options.second_name = request.second->name;
            options.connect_second = [second = *request.second] { return connect_second(second); };
        }
        return options;
    }

    static ReceiverCallbacks callbacks_for(const StreamCallbacks& callbacks) {
        ReceiverCallbacks out;
        if (callbacks.on_stored)
            out.on_synced = [stored = callbacks.on_stored](const SyncedTo& to) {
                stored(to.bytes);
            };
        if (callbacks.on_gap)
            out.on_gap = [told = callbacks.on_gap](const StreamGap& gap) { told(gap.reason); };
        if (callbacks.on_state)
            out.on_state = [told = callbacks.on_state](const StreamState& state) {
                told(to_status(state));
            };
        return out;
    }

    Receiver receiver_;
    Sealer sealer_;  // of the one thread that seals
};

}  // namespace

std::unique_ptr<LogReceiver> make_receiver(const sql::MariadbOptions& login,
                                           const StreamRequest& request,
                                           const StreamCallbacks& callbacks) {
    return std::make_unique<MariadbReceiver>(login, request, callbacks);
}

}  // namespace mariadb

std::optional<StreamStatus> stored_stream_status(const std::string& driver,
                                                 const std::string& spool) {
    if (driver != "mariadb") return std::nullopt;
    auto state = mariadb::load_state(spool);
    if (!state) return std::nullopt;
    return mariadb::to_status(*state);
}

}  // namespace sevenfold::database
