// Help texts and man pages from the tree of commands.
#pragma once

#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace sevenfold::cli {

// "sevenfold repo snapshots".
std::string full_name(const CLI::App& app);
// "-c,--config FILE" without the value; "PLACE..." for positionals.
std::string option_names(const CLI::Option& option);
bool hidden(const CLI::App& app);
bool hidden(const CLI::Option& option);

std::string help_text(const CLI::App& app);
// One roff page for the whole program.
std::string man_page(const CLI::App& root);

// Scripts for `source <(sevenfold completion bash)`.
std::string bash_completion(const CLI::App& root);
std::string zsh_completion(const CLI::App& root);

}  // namespace sevenfold::cli
