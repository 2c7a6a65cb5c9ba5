// A server on a restored data folder that goes on when this process ends.
#pragma once

#include <cstdint>
#include <string>

namespace sevenfold::database::mariadb {

// Its process id. It reads no option files, opens no port, starts no replication and no events; its
// socket is <data_dir>/sevenfold.sock, its log <data_dir>/sevenfold.log. Returns when it answers.
// Throws Error with the end of its log.
int64_t start_detached(const std::string& data_dir, uint64_t memory);
std::string detached_socket(const std::string& data_dir);

}  // namespace sevenfold::database::mariadb
