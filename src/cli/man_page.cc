#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/help.h"

namespace sevenfold::cli {
namespace {

// Text for roff: backslashes doubled, dashes kept as dashes, no line that looks like a request.
std::string roff(std::string_view text) {
    std::string out;
    bool line_start = true;
    for (char c : text) {
        if (line_start && (c == '.' || c == '\'')) out += "\\&";
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
        line_start = c == '\n';
    }
    return out;
}

void append_options(std::string& out, const CLI::App& app) {
    for (const CLI::Option* option : app.get_options()) {
        if (hidden(*option)) continue;
        std::string value = option->get_positional() || option->get_items_expected_max() == 0
                                ? ""
                                : " " + option->get_type_name();
        out += fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", roff(option_names(*option)), roff(value),
                           roff(option->get_description()));
    }
}

void append_examples(std::string& out, const CLI::App& app) {
    std::string footer = app.get_footer();
    size_t newline = footer.find('\n');
    if (newline == footer.npos) return;
    out += fmt::format(".PP\nExamples:\n.PP\n.nf\n{}\n.fi\n", roff(footer.substr(newline + 1)));
}

void append_command(std::string& out, const CLI::App& app) {
    if (hidden(app)) return;
    out += fmt::format(".SS {}\n{}\n", roff(full_name(app)), roff(app.get_description()));
    append_options(out, app);
    append_examples(out, app);
    for (const CLI::App* sub : app.get_subcommands({})) append_command(out, *sub);
}

}  // namespace

std::string man_page(const CLI::App& root) {
    std::string out = fmt::format(
        ".TH SEVENFOLD 1 \"\" \"sevenfold {}\" \"User Commands\"\n"
        ".SH NAME\nsevenfold \\- {}\n.SH SYNOPSIS\n\\fBsevenfold\\fR [OPTION]… COMMAND …\n"
        ".SH OPTIONS\n",
        SEVENFOLD_VERSION, roff(root.get_description()));
    append_options(out, root);
    append_examples(out, root);
    out += ".SH COMMANDS\n";
    for (const CLI::App* sub : root.get_subcommands({})) append_command(out, *sub);
    out +=
        ".SH EXIT STATUS\n0 done; 1 failed; 2 wrong usage or configuration; 3 saved, but some "
        "items "
        "could not be read; 10 no repository; 11 repository locked; 12 wrong password; 20 a rule "
        "does not hold; 130 interrupted.\n"
        ".SH ENVIRONMENT\n.TP\n\\fBSEVENFOLD_CONFIG\\fR\nThe configuration file.\n.TP\n"
        "\\fBSEVENFOLD_PASSWORD_<PLACE>\\fR\nThe password of a place that names neither file nor "
        "command.\n.TP\n\\fBRESTIC_REPOSITORY, RESTIC_PASSWORD, RESTIC_PASSWORD_FILE, "
        "RESTIC_PASSWORD_COMMAND\\fR\nFor the repo commands; the same with SEVENFOLD_ goes "
        "first.\n.TP\n\\fBNO_COLOR\\fR\nNo colours.\n";
    return out;
}

}  // namespace sevenfold::cli
