#include "database/mariadb/stream_driver.h"

#include <fmt/format.h>
#include <unistd.h>

#include "database/mariadb/stream/receiver.h"
#include "net/ssh_command.h"

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
        : receiver_(options_for(login, request), callbacks_for(callbacks)) {}

    void run(std::stop_token stop) override { receiver_.run(stop); }
    StreamStatus status() const override { return to_status(receiver_.state()); }

  private:
    static ReceiverOptions options_for(const sql::MariadbOptions& login,
                                       const StreamRequest& request) {
        ReceiverOptions options;
        options.connection = login;
        char host[256] = {};
        gethostname(host, sizeof host - 1);
        options.server_id = receiver_server_id(host, request.spool);
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
