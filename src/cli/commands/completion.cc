// completion bash|zsh and manpage.
#include "cli/commands.h"
#include "cli/help.h"

namespace sevenfold::cli {
namespace {

// The tree that this command is part of.
Action generate(CommandTree& tree, std::string (*make)(const CLI::App&)) {
    const CLI::App* root = &tree.app();
    return [root, make](Context& context) {
        std::string text = make(*root);
        if (text.ends_with('\n')) text.pop_back();
        context.terminal().print(text);
        context.terminal().json(JsonObject().set("type", "text").set("text", text));
        return 0;
    };
}

}  // namespace

void add_completion(CommandTree& tree) {
    CommandTree group =
        tree.group("completion", "Print a script that completes commands and options in a shell.",
                   "source <(sevenfold completion bash)\n"
                   "sevenfold completion zsh > ~/.zsh/completions/_sevenfold");
    group.command("bash", "For bash.", "source <(sevenfold completion bash)")
        .run(generate(tree, bash_completion));
    group
        .command("zsh", "For zsh.",
                 "sevenfold completion zsh > /usr/share/zsh/site-functions/_sevenfold")
        .run(generate(tree, zsh_completion));
    tree.hidden_command("manpage", "Print the manual page in roff.").run(generate(tree, man_page));
}

}  // namespace sevenfold::cli
