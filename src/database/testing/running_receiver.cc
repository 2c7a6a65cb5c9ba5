#include "database/testing/running_receiver.h"

#include <fmt/format.h>
#include <poll.h>

#include "database/mariadb/stream/spool.h"
#include "os/file.h"

namespace sevenfold::database {

using namespace std::chrono_literals;

bool eventually(const std::function<bool()>& holds, int seconds) {
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > until) return false;
        ::poll(nullptr, 0, 5);
    }
    return true;
}

mariadb::ReceiverOptions receiver_options(const TestServer& server, const std::string& spool) {
    return {.connection = server.login(),
            .server_id = 777,
            .spool = spool,
            .allow_privileged = true,  // root of a server of our own
            .sync_every = 20ms,
            .heartbeat = 500ms,
            .retry_first = 50ms,
            .retry_most = 300ms,
            .watch_every = 50ms};
}

std::vector<std::string> semi_sync_arguments(int timeout_ms) {
    return {"--rpl-semi-sync-master-enabled=ON", "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
            "--rpl-semi-sync-master-wait-no-slave=OFF",
            fmt::format("--rpl-semi-sync-master-timeout={}", timeout_ms)};
}

RunningReceiver::RunningReceiver(mariadb::ReceiverOptions options,
                                 mariadb::ReceiverCallbacks callbacks)
    : receiver_(std::move(options), std::move(callbacks)), thread_([this](std::stop_token stop) {
          try {
              receiver_.run(stop);
          } catch (...) {
              failure_ = current_error();
          }
      }) {}

void RunningReceiver::stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

bool RunningReceiver::has_all_of(const TestServer& server) const {
    return state().gtid == server.connect()->value("SELECT @@gtid_binlog_pos");
}

std::string compare_with_server(const TestServer& server, const std::string& spool,
                                const std::string& incarnation) {
    std::string problems;
    std::vector<std::string> files = mariadb::spool_files(spool, incarnation);
    for (const std::string& file : files) {
        Bytes ours = os::read_file(fmt::format("{}/{}/{}", spool, incarnation, file));
        Bytes theirs = os::read_file(server.data_dir() + "/" + file);
        if (theirs.size() > 21 && ours.size() > 21) theirs[21] = ours[21] = 0;  // in use
        size_t n = std::min(ours.size(), theirs.size());
        if (ours.size() > theirs.size() || !std::equal(ours.begin(), ours.end(), theirs.begin()))
            problems += fmt::format(
                "{} differs at {} of {}; ", file,
                std::mismatch(ours.begin(), ours.begin() + n, theirs.begin()).first - ours.begin(),
                n);
        // A clean shutdown ends a file with an event of 23 bytes that is never sent.
        else if (file != files.back() && theirs.size() - ours.size() > 23)
            problems += fmt::format("{} has {} of {} bytes; ", file, ours.size(), theirs.size());
    }
    return files.empty() ? "no files" : problems;
}

}  // namespace sevenfold::database
