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

#include <stdbool.h>

#include "condlora/ops.h"

/* c(op), and why it is what it is. */
double bound_constant(cdl_op op);
const char *bound_reason(cdl_op op);

/* F32 2⁻²⁴, BF16 2⁻⁸; F64 2⁻⁵², as the reference errs as much as the op; 0 for integers. */
double unit_roundoff(cdl_dtype dtype);

/* What storing a value loses where an activation is BF16: half a unit in the last place. 0 for
 * F32 and F64, whose bounds have it in c(op). */
double storing_error(cdl_dtype dtype, double value);

/* The smallest normal number: to be added to a bound where an intermediate may lie below it, as a
 * device may flush such numbers to zero (OpenCL without CL_FP_DENORM). */
double smallest_normal(cdl_dtype dtype);
/* Whether a device may flush this very result, or what it is made from, to zero. Never where an op
 * only moves bits, nor between two F64 numbers. */
bool may_be_flushed(cdl_op op, cdl_dtype dtype, double want);

/* √(Σp² + n (Σp²/6 + S²/3)) */
double sum_growth(double n, double squares, double sum);

/* Of a sum of products of F32 factors in the precision of the backend under test, in units of
 * F32's u. To TF32 and BF16 factors are rounded first: each errs by at most v, 2⁻¹¹ or 2⁻⁸, of
 * itself at random, and by v of one sign where a device cuts digits off; so that the sum errs by
 * v √(Σp² + S²) more, again within the op's constant. */
double product_growth(cdl_op op, double n, double squares, double sum);
/* Of an op: u, or v where it rounds the factors of products. */
double product_roundoff(cdl_op op);
/* The precision that the backend was opened with: FP32 unless set. */
void bound_precision(cdl_precision precision);

#endif
