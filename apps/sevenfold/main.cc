#include "cli/cli.h"

int main(int argc, char** argv) { return sevenfold::cli::sevenfold_main(argc, argv); }
