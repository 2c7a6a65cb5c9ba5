// What every command gets.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "cli/terminal.h"
#include "config/config.h"
#include "core/time.h"

namespace sevenfold::cli {

struct GlobalOptions {
    std::string config_file;  // -c; empty: SEVENFOLD_CONFIG, ./sevenfold.toml, /etc/sevenfold/…
    TerminalOptions terminal;
};

class Context {
  public:
    Context(Terminal& terminal, std::stop_token stop) : terminal_(terminal), stop_(stop) {}

    Terminal& terminal() { return terminal_; }
    std::stop_token stop() const { return stop_; }
    // Throws Error{interrupted} once the user asked to stop.
    void check_stop() const;
    const Clock& clock() const { return Clock::system(); }
    GlobalOptions& global() { return global_; }

    // The file that config() reads. Throws Error{config} when there is none.
    std::string config_path() const;
    // The configuration, loaded and validated at the first call, which also logs its warnings.
    // Throws Error{config} before anything is touched.
    const config::LoadedConfig& loaded();
    const config::AppConfig& config() { return loaded().config; }

  private:
    Terminal& terminal_;
    std::stop_token stop_;
    GlobalOptions global_;
    std::optional<config::LoadedConfig> loaded_;
};

}  // namespace sevenfold::cli
