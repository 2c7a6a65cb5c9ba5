// What this program is and what it is made of.
#pragma once

#include "cli/context.h"

namespace sevenfold::cli {

// --version: one line; with -v the libraries and the fast paths that this machine uses.
int show_version(Context& context);

}  // namespace sevenfold::cli
