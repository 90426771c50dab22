#include "test.h"
TEST(x,"x"){ SKIP("y"); }
