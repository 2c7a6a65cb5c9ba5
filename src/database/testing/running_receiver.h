// A receiver in a thread of a test, and comparing what it received with the server's own files.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "database/mariadb/stream/receiver.h"
#include "database/testing/mariadb_server.h"

namespace sevenfold::database {

// Waits until it holds; false after `seconds`.
bool eventually(const std::function<bool()>& holds, int seconds = 20);

// Options of a receiver that reacts fast.
mariadb::ReceiverOptions receiver_options(const TestServer& server, const std::string& spool);
// Arguments of a server with semi-sync as it should be.
std::vector<std::string> semi_sync_arguments(int timeout_ms = 10'000);

class RunningReceiver {
  public:
    explicit RunningReceiver(mariadb::ReceiverOptions options,
                             mariadb::ReceiverCallbacks callbacks = {});
    ~RunningReceiver() { stop(); }
    void stop();
    mariadb::StreamState state() const { return receiver_.state(); }
    mariadb::Protection protection() const { return state().protection; }
    // Everything the server has committed has been received.
    bool has_all_of(const TestServer& server) const;
    std::optional<Error> failure() const { return failure_; }

  private:
    mariadb::Receiver receiver_;
    std::optional<Error> failure_;
    std::jthread thread_;
};

// Compares every file of the incarnation with the server's file of that name; they must be equal
// but for the mark of a file in use, and the newest may be shorter. Returns the differences, empty
// when there are none.
std::string compare_with_server(const TestServer& server, const std::string& spool,
                                const std::string& incarnation);

}  // namespace sevenfold::database
