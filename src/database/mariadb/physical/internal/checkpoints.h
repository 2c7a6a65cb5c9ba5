// The small files that mariadb-backup leaves beside the data: "key = value" lines.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace sevenfold::database::mariadb::internal {

struct Checkpoints {
    std::string type;  // "full-backuped", "incremental", "log-applied", "full-prepared"
    uint64_t from_lsn = 0, to_lsn = 0, last_lsn = 0;
    bool prepared() const { return type == "log-applied" || type == "full-prepared"; }
};
// Throws Error{corrupt}.
Checkpoints parse_checkpoints(std::string_view text);

// The names that start the tool's own files: since 11.1 the second one.
inline constexpr std::string_view kInfoPrefixes[] = {"xtrabackup_", "mariadb_backup_"};

}  // namespace sevenfold::database::mariadb::internal
