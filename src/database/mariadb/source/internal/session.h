// What a replica asks before it wants events: a handful of statements, answered without a parser.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"

namespace sevenfold::database::mariadb::source {

class Session {
  public:
    Session(uint32_t server_id, std::string version)
        : server_id_(server_id), version_(std::move(version)) {}

    // The packets of the answer. Never throws for foreign text.
    std::vector<Bytes> answer(std::string_view statement);
    // What the client set: "slave_connect_state" (without @, in lower case); empty when it did not.
    std::string_view variable(std::string_view name) const;
    // As a number; 0 when it is none.
    uint64_t number(std::string_view name) const;

  private:
    std::vector<Bytes> set(std::string_view assignments);
    std::vector<Bytes> select(std::string_view expression);

    uint32_t server_id_;
    std::string version_;
    std::map<std::string, std::string, std::less<>> variables_;
};

}  // namespace sevenfold::database::mariadb::source
