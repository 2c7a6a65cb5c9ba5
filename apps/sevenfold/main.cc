#include <malloc.h>

#include "cli/cli.h"

int main(int argc, char** argv) {
    // Packs are buffers of many megabytes. By default glibc soon takes such sizes from its heaps,
    // where freed ones stay: with two places that doubled the peak. A fixed threshold gives them
    // back to the system at once.
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    return sevenfold::cli::sevenfold_main(argc, argv);
}
