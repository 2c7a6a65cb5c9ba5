// Names of users and groups by number.
#pragma once

#include <sys/types.h>

#include <shared_mutex>
#include <string>
#include <unordered_map>

namespace sevenfold::os {

// Asks the system once per number (files, LDAP, … : whatever nsswitch says) and remembers the
// answer, also that there is none. Thread-safe. References stay valid as long as the object.
class UserNames {
  public:
    const std::string& user_name(uid_t uid);   // empty when unknown
    const std::string& group_name(gid_t gid);  // empty when unknown

  private:
    std::shared_mutex mutex_;
    std::unordered_map<uid_t, std::string> users_;
    std::unordered_map<gid_t, std::string> groups_;
};

}  // namespace sevenfold::os
