// Who stands behind a ticket and who wrote a message (product §1.4 and §5.10): a model of whose
// address was whose, made from what was asked of account_health and the order of its commits, and
// what has to come of it; and whose tickets are suspected to be spam (§1.2).
#ifndef TANDEM_TESTS_SIMULATION_CORRESPONDENTS_H_
#define TANDEM_TESTS_SIMULATION_CORRESPONDENTS_H_

namespace tandem::simulation {

class World;

// At rest. A ticket goes to the contact who has its address, or had it until a change that
// ticket_intake had not heard of; a message is its requester's, a contact's of the account, or a
// third party's, and a third party moves nothing; nobody waits on the unresolved list with an
// address that is one contact's. A ticket is suspected to be spam if the
// address's others say so, and only then.
void CheckCorrespondents(World& world);

}  // namespace tandem::simulation

#endif  // TANDEM_TESTS_SIMULATION_CORRESPONDENTS_H_
