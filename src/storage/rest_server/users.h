// Who may use the server, by a file in the htpasswd format: "name:$2y$…" a line, bcrypt only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/id.h"

namespace sevenfold::storage {

// Thread-safe. A change of the file counts within a second or two; a file that is gone or damaged
// then leaves the former users in place and is warned of once.
class Users {
  public:
    // Throws Error{config} for a file that cannot be read or has a line that is not a user's.
    explicit Users(std::string path);

    // The user's name when the header ("Basic …") carries a known name and its password; empty
    // otherwise. A right password is remembered for a minute by a keyed hash, so that only the
    // first request pays for bcrypt; of wrong ones two at a time are tried.
    std::string check(std::string_view authorization);

  private:
    using Steady = std::chrono::steady_clock;
    struct Table {
        std::map<std::string, std::string, std::less<>> hashes;
    };
    std::shared_ptr<const Table> table();
    static std::shared_ptr<const Table> load(const std::string& path);

    const std::string path_;
    Bytes key_;          // of the remembered hashes; a new one for each process
    std::string decoy_;  // so that an unknown name takes as long as a wrong password
    std::counting_semaphore<8> tries_{2};
    std::mutex mutex_;  // guards what follows
    std::shared_ptr<const Table> table_;
    std::pair<int64_t, int64_t> stamp_;
    Steady::time_point looked_{};
    std::map<Id, Steady::time_point> good_;  // until when
};

}  // namespace sevenfold::storage
