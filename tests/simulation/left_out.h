// Tickets that say nothing about a customer (product §1.2, §4.4 and §5.2): spam, what is suspected
// to be spam until somebody has looked at it, and internal ones.
#ifndef TANDEM_TESTS_SIMULATION_LEFT_OUT_H_
#define TANDEM_TESTS_SIMULATION_LEFT_OUT_H_

namespace tandem::simulation {

class World;

// At rest. Nobody is invited to a survey, or reminded of one, by a service that knows that the
// ticket is left out; and an account's health counts what ticket_intake does not leave out, no more
// and no less.
void CheckLeftOut(World& world);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_LEFT_OUT_H_
