package web

import (
	"redhen/appliance/web/page"
	"redhen/provision/pair"
	"redhen/provision/roster"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// caller is a box that asks to join.
type caller struct {
	pair.Pending
	Keeper string // what friends call whose box it is
}

// callers are the boxes that wait.
func (q *request) callers() (list []caller, err error) {
	waiting := q.cfg.Desk.Pending()
	if len(waiting) == 0 {
		return nil, nil
	}
	accounts, err := q.cfg.Circle.Accounts()
	if err != nil {
		return nil, err
	}
	for _, p := range waiting {
		list = append(list, caller{p, nameOf(p, accounts)})
	}
	return list, nil
}

// nameOf is what the circle calls the keeper of a box that asks to join, what they call
// themselves, or else their login name. Nobody has vouched yet for what a stranger sends,
// so only what could be any name is shown.
func nameOf(p pair.Pending, accounts []directory.Account) string {
	a := p.Application
	for _, acc := range accounts {
		if p.Known && acc.ID == a.Keeper {
			return page.FullName(acc)
		}
	}
	var own directory.Account
	if err := wire.Unmarshal(a.Account, &own); err != nil || roster.CheckName(own.FullName) != nil {
		return a.KeeperName
	}
	return own.FullName
}
