// Waiting that a test can skip and an interrupt can end.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>

namespace sevenfold::storage {

// Waits for a duration; throws Error{interrupted} when asked to stop meanwhile.
using Sleeper = std::function<void(std::chrono::nanoseconds, const std::stop_token&)>;
void sleep_unless_stopped(std::chrono::nanoseconds duration, const std::stop_token& stop);

}  // namespace sevenfold::storage
