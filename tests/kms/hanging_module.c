/* A PKCS#11 module that is SoftHSM, but for C_Decrypt: that never answers. */

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

/* CK_FUNCTION_LIST of PKCS#11 2.40: a version, then the functions in the order of the standard, section 5.18. */
struct functions {
    unsigned char version[2];
    void *function[68];
};

enum { GET_FUNCTION_LIST = 3, DECRYPT = 34 };

static struct functions functions;

static unsigned long hang(void) {
    for (;;)
        pause();
}

unsigned long C_GetFunctionList(struct functions **list) {
    void *softhsm = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW);
    unsigned long (*get)(struct functions **) = softhsm ? (unsigned long (*)(struct functions **))dlsym(softhsm, "C_GetFunctionList") : 0;
    struct functions *theirs;
    if (!get || get(&theirs))
        return 5; /* CKR_GENERAL_ERROR */
    memcpy(&functions, theirs, sizeof functions);
    functions.function[GET_FUNCTION_LIST] = C_GetFunctionList;
    functions.function[DECRYPT] = hang;
    *list = &functions;
    return 0;
}
