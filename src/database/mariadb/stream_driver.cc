#include "database/mariadb/stream_driver.h"

#include <fmt/format.h>

#include "core/log.h"
#include "database/mariadb/stream/receiver.h"
#include "database/mariadb/stream/seal.h"
#include "database/mariadb/stream/trim_second.h"
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

storage::SftpConnectionOptions sftp_options(const SecondSpool& second) {
    storage::SftpConnectionOptions options;
    options.command = net::ssh_subsystem_command(
        {second.location.host, second.location.user, second.location.port}, "sftp", second.ssh_args,
        false);
    options.location = second.location.display();
    options.stall_timeout = std::chrono::seconds(10);
    return options;
}

bool is_local(const SecondSpool& second) {
    return second.location.driver == storage::Location::Driver::local;
}

std::unique_ptr<SpoolTarget> connect_second(const SecondSpool& second) {
    if (is_local(second)) return open_folder_target(second.location.path, second.key);
    return open_sftp_target(sftp_options(second), second.location.path, second.key);
}

std::unique_ptr<PartStore> open_parts(const SecondSpool& second) {
    if (is_local(second)) return open_part_folder(second.location.path);
    return open_sftp_parts(sftp_options(second), second.location.path);
}

// An archive with the store that it reads.
class SecondArchive : public LogArchive {
  public:
    SecondArchive(const SecondSpool& second, const LogArchive& base)
        : store_(open_parts(second)), archive_(open_sealed_spool(*store_, second.key, &base)) {}
    const std::vector<LogSegment>& segments() const override { return archive_->segments(); }
    size_t read(size_t number, uint64_t offset, MutableByteView out) const override {
        return archive_->read(number, offset, out);
    }

  private:
    std::unique_ptr<PartStore> store_;
    std::unique_ptr<LogArchive> archive_;
};

class MariadbReceiver : public LogReceiver {
  public:
    MariadbReceiver(const sql::MariadbOptions& login, const StreamRequest& request,
                    const StreamCallbacks& callbacks)
        : receiver_(options_for(login, request), callbacks_for(callbacks)),
          sealer_({.spool = request.spool,
                   .database = request.database,
                   .host = os::host_name(),
                   .user = os::user_name(),
                   .places = request.places}),
          spool_(request.spool),
          second_(request.second) {}

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

    size_t trim_second() override {
        if (!second_) return 0;
        return trim_second_spool(*open_parts(*second_), second_->key, spool_, sealer_);
    }

  private:
    static ReceiverOptions options_for(const sql::MariadbOptions& login,
                                       const StreamRequest& request) {
        ReceiverOptions options;
        options.connection = login;
        options.server_id = receiver_server_id(os::host_name(), request.spool);
        options.spool = request.spool;
        options.semi_sync = request.acknowledge;
        options.first_file = request.first_file;
        options.continue_after = request.continue_after;
        for (const std::string& name : request.incarnations)
            options.last_incarnation = std::max(options.last_incarnation, incarnation_number(name));
        options.allow_privileged = request.allow_privileged;
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
    Sealer sealer_;
    const std::string spool_;
    const std::optional<SecondSpool> second_;
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

std::unique_ptr<LogArchive> continue_with_second_spool(const std::string& driver,
                                                       const SecondSpool& second,
                                                       const LogArchive& base) {
    if (driver != "mariadb")
        throw Error(ErrorKind::unsupported, fmt::format("there is no driver \"{}\"", driver));
    return std::make_unique<mariadb::SecondArchive>(second, base);
}

}  // namespace sevenfold::database
