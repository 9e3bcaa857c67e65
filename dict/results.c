#include "dict/results.h"
