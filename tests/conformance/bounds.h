/* How far a result may lie from exact arithmetic: c(op) · u(dtype) · growth(length), with u half a
 * unit in the last place.
 *
 * The growth of a sum of n terms p is that of a random order of them: a partial sum s_t of t of
 * them has
 * E s_t² ≈ t/n (1 − t/n) Σp² + (t/n)² S², each addition errs by at most u |s_t|, and the errors
 * are independent (Higham and Mary 2019), so that the error's scale is u √(Σp² + n (Σp²/6 +
 * S²/3)): n^½ for terms of one sign, no growth beyond Σ|p| for terms of either. Any blocking of
 * the sum does better. */
#ifndef CONDLORA_TESTS_CONFORMANCE_BOUNDS_H
#define CONDLORA_TESTS_CONFORMANCE_BOUNDS_H

#include "condlora/ops.h"

/* c(op), and why it is what it is. */
double bound_constant(cdl_op op);
const char *bound_reason(cdl_op op);

/* F32 2⁻²⁴, BF16 2⁻⁸; F64 2⁻⁵², as the reference errs as much as the op; 0 for integers. */
double unit_roundoff(cdl_dtype dtype);
/* The smallest normal number: a device may flush what lies below. */
double smallest_normal(cdl_dtype dtype);

/* √(Σp² + n (Σp²/6 + S²/3)) */
double sum_growth(double n, double squares, double sum);

#endif
