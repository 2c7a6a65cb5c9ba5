// The stream of a database: received without a pause, sealed into all places every minute.
#pragma once

#include <functional>
#include <stop_token>

#include "protect/database.h"

namespace sevenfold::protect {

struct StreamEvents {
    std::function<void(const database::StreamStatus&)> on_state;  // the protection changed
    std::function<void(const std::string&)> on_gap;
    std::function<void(const std::vector<database::LogReceiver::Sealed>&)>
        on_seal;  // something was stored, or failed; one call at a time
};

struct StreamOptions {
    bool allow_privileged = false;  // an account that may do everything is not refused
};

// Until stop is requested; then seals once more. Each place is sealed by itself, so that one that
// hangs delays no other; those that do not open are tried again at every seal. Throws what cannot
// get better by trying again.
void run_stream(const config::AppConfig& config, const config::DatabaseConfig& database,
                const StreamOptions& options, const StreamEvents& events, std::stop_token stop);

}  // namespace sevenfold::protect
