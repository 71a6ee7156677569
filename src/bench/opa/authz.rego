# The rules that decisions are measured with, as OPA is given them. What they say is what Countersign
# decides by: who is alive, what each of the grants has (all must have it), and the policies of the
# benchmark, permit by permit and forbid by forbid.
#
# The input is the body of an AuthZEN evaluation, the data is made of the cluster's objects.
package countersign

default allow := false

allow if {
	agent := data.identities[input.subject.id]
	alive(agent)
	chain_holds
	every name in principals {
		permitted(data.identities[name])
	}
	count(forbidden) == 0
}

# Who acts, and who handed it on.
principals contains input.subject.id

principals contains hop.from if {
	some hop in hops
	hop.from
}

alive(agent) if {
	agent.state == "Active"
	time.now_ns() < agent.deadline_ns
	granted(agent.grants)
	owner := data.owners[agent.owner]
	owner.state == "Active"
	granted(owner.grants)
}

# From the root on.
hops := [data.delegations[digest] | some digest in data.delegations[input.context.delegation].chain]

chain_holds if not input.context.delegation

chain_holds if {
	last := hops[count(hops) - 1]
	last.to == input.subject.id
	root := data.owners[last.root_owner]
	root.state == "Active"
	granted(root.grants)
	every hop in hops {
		hop.state == "Active"
		time.now_ns() < hop.expires_ns
		granted(hop.grants)
		delegator_alive(hop)
	}
}

delegator_alive(hop) if not hop.from

delegator_alive(hop) if {
	delegator := data.identities[hop.from]
	delegator.state == "Active"
	time.now_ns() < delegator.deadline_ns
	data.owners[delegator.owner].state == "Active"
}

granted(grants) if {
	some grant in grants
	covers(grant.actions)
	some pattern in grant.resources
	glob.match(pattern, ["/"], input.resource.id)
}

covers(actions) if "*" in actions

covers(actions) if input.action.name in actions

# What nobody has classified is as sensitive as can be.
default sensitivity := 3

sensitivity := max([class.sensitivity |
	some class in data.resources
	glob.match(class.pattern, ["/"], input.resource.id)
])

default signals := {"risk": 0, "anomaly": 0, "age_milliseconds": 0}

signals := data.signals[input.subject.id]

default destructive := false

destructive := input.context.destructive

# Two permits, of the namespace's own policies.
permitted(agent) if {
	agent.namespace == "agents"
	input.action.name in ["read", "list"]
	startswith(input.resource.id, "ledger/")
	sensitivity <= 2
}

permitted(agent) if {
	agent.namespace == "agents"
	input.action.name == "invoke"
	startswith(input.resource.id, "ledger/")
	input.context.tool == "post_entry"
}

# Four guards, of the cluster's.
forbidden contains "risk" if signals.risk + (25 * sensitivity) > 100

forbidden contains "destructive" if {
	destructive
	signals.anomaly >= 60
}

forbidden contains "destructive" if {
	destructive
	signals.age_milliseconds > 5000
}

forbidden contains "network" if {
	sensitivity >= 2
	not net.cidr_contains("10.0.0.0/8", input.context.sourceIP)
}

forbidden contains "depth" if {
	input.action.name == "delete"
	count(hops) > 4
}
