package appliancetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"redhen/appliance/circle"
	"redhen/provision/pair"
)

// Password is that of the account of a login name.
func Password(login string) string { return login + " likes old hens" }

// PersonOf is somebody with a login name.
func PersonOf(login string) circle.Person {
	return circle.Person{Login: login, FullName: "The person " + login, Password: Password(login)}
}

// Place says what the box is called and where it stands.
func (b *Box) Place() circle.Place { return circle.Place{House: b.House, Box: b.Name} }

// Found begins a circle of this box.
func (b *Box) Found(name, keeper string) {
	b.w.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Circle().Found(ctx, name, b.Place(), PersonOf(keeper)); err != nil {
		b.w.T.Fatalf("%s founds: %v", b.Name, err)
	}
	b.Keeper = keeper
}

// Invite makes a ticket and returns its text.
func (b *Box) Invite() string {
	b.w.T.Helper()
	t, err := b.Circle().InviteBox(0)
	if err != nil {
		b.w.T.Fatalf("%s invites: %v", b.Name, err)
	}
	return t.Text()
}

// Asking is a box that asks to join.
type Asking struct {
	box  *Box
	done chan error
	end  context.CancelFunc

	mu   sync.Mutex
	last pair.Progress
}

// Ask begins to join with a ticket.
func (b *Box) Ask(ticket, keeper string) *Asking { return b.AskAs(ticket, b.Place(), PersonOf(keeper)) }

// AskAs begins to join under names of one's choice.
func (b *Box) AskAs(ticket string, place circle.Place, keeper circle.Person) *Asking {
	ctx, cancel := context.WithCancel(context.Background())
	a := &Asking{box: b, done: make(chan error, 1), end: cancel}
	b.w.T.Cleanup(cancel)
	join := b.Circle().Join
	go func() { a.done <- join(ctx, ticket, place, keeper, a.see) }()
	return a
}

func (a *Asking) see(p pair.Progress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = p
}

// Progress is what the joiner's page shows now.
func (a *Asking) Progress() pair.Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// Answer waits for the end of asking, two minutes at most.
func (a *Asking) Answer() error {
	a.box.w.T.Helper()
	select {
	case err := <-a.done:
		a.end()
		return err
	case <-time.After(2 * time.Minute):
		a.end()
		a.box.w.T.Fatalf("%s: no answer: %v; %+v", a.box.Name, <-a.done, a.Progress())
		return nil
	}
}

// Stop gives up asking.
func (a *Asking) Stop() error {
	a.end()
	return <-a.done
}

// AwaitPending waits until the box waits at the inviter, with the same words on both sides.
func (a *Asking) AwaitPending(inviter *Box) {
	a.box.w.T.Helper()
	var here, there []pair.Word
	id := a.box.ID()
	a.box.w.Until(a.box.Name+" waits at "+inviter.Name, 2*time.Minute, func() bool {
		for _, p := range inviter.Circle().Desk().Pending() {
			if p.Box == id {
				here, there = a.Progress().Words, p.Words
			}
		}
		return len(here) > 0
	})
	if len(there) != 4 || !slices.Equal(here, there) {
		a.box.w.T.Errorf("the joiner shows %v, the inviter %v", here, there)
	}
}

// Join brings the box into the inviter's circle, by the text of a ticket and after
// the words were compared. It returns when the circle is known here.
func (b *Box) Join(inviter *Box, keeper string) { b.w.T.Helper(); b.JoinAt(inviter, b.Place(), keeper) }

// JoinAt is Join at a place of one's choice.
func (b *Box) JoinAt(inviter *Box, place circle.Place, keeper string) {
	b.w.T.Helper()
	a := b.AskAs(inviter.Invite(), place, PersonOf(keeper))
	a.AwaitPending(inviter)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := inviter.Circle().Desk().Approve(ctx, b.ID()); err != nil {
		b.w.T.Fatalf("%s approves %s: %v", inviter.Name, b.Name, err)
	}
	if err := a.Answer(); err != nil {
		b.w.T.Fatalf("%s joins: %v", b.Name, err)
	}
	b.Keeper = keeper
	b.w.Until(b.Name+" knows its circle", time.Minute, func() bool { return b.About().Claimed })
}

// AddAccount makes an account without a box.
func (b *Box) AddAccount(login string) {
	b.w.T.Helper()
	by, err := b.Circle().Account(b.Keeper)
	if err != nil {
		b.w.T.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := b.Circle().AddAccount(ctx, by.ID, PersonOf(login)); err != nil {
		b.w.T.Fatalf("%s adds %s: %v", b.Name, login, err)
	}
}
