#include "dict/peers.h"
