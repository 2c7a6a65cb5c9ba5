// MariaDB's programs try again for ever when their disk is full. This tells when to give them up.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace sevenfold::database::mariadb {

class DiskWatch {
  public:
    explicit DiskWatch(std::string folder) : folder_(std::move(folder)) {}

    bool is_full() const;
    // To be asked again and again: it has been full at every question for ten seconds.
    bool stays_full();
    // Why a program failed that said this.
    bool explains(std::string_view said) const;
    Error error(const std::string& what) const;

  private:
    std::string folder_;
    std::optional<std::chrono::steady_clock::time_point> since_;
};

}  // namespace sevenfold::database::mariadb
