// The server that a replay fills: is it free for that, its settings meanwhile, how it is doing.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "database/mariadb/replay/replay.h"

namespace sevenfold::database::mariadb {

// Columns by name, of statements whose columns differ between versions.
using NamedRow = std::map<std::string, std::string, std::less<>>;  // NULL: empty
std::vector<NamedRow> query_named(sql::MariadbConnection& connection, const std::string& statement);

// Throws Error{refused}, saying what speaks against it.
void check_target(sql::MariadbConnection& target, const source::Plan& plan,
                  const ReplayOptions& options);
// Waits a while for the transactions that are under way; what waits for a lock then is rolled back.
void stop_replication(sql::MariadbConnection& target, const std::string& name = {});
// Throws away the replication that the base inherited.
void forget_replication(sql::MariadbConnection& target);
// Only if it is from a replay that died: the server takes it up again by itself when it starts.
void forget_own_replication(sql::MariadbConnection& target);

// Global variables that are different while this exists.
class TemporarySettings {
  public:
    explicit TemporarySettings(sql::MariadbConnection& target) : target_(target) {}
    ~TemporarySettings();  // restores; what fails is logged
    TemporarySettings(const TemporarySettings&) = delete;
    TemporarySettings& operator=(const TemporarySettings&) = delete;

    void set(const std::string& name, const std::string& value);
    void restore();

  private:
    void assign(const std::string& name, const std::string& value);

    sql::MariadbConnection& target_;
    std::vector<std::pair<std::string, std::string>> former_;
};

struct ReplicaStatus {
    bool io_running = false, sql_running = false;
    unsigned io_error = 0, sql_error = 0;
    std::string io_message, sql_message, io_state, sql_state;
    uint64_t groups = 0;  // transactions given to appliers; retried ones may count again
};
ReplicaStatus replica_status(sql::MariadbConnection& target);
// Grows while the server works on something.
uint64_t work_counter(sql::MariadbConnection& target);
// What the applier threads do, for people.
std::string applier_states(sql::MariadbConnection& target);

}  // namespace sevenfold::database::mariadb
