// Package account knows people: it checks passwords and slows down guessing,
// issues sessions that every box verifies alone, keeps device passwords, and
// seals the keys of keepers. All records live in the directory; this package
// makes and checks them, and proposes nothing itself.
package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/sync/singleflight"

	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// Errors that a door turns into sentences. See also SlowError.
var (
	// ErrWrong says that name and password do not belong together; never which is wrong.
	ErrWrong = errors.New("account: wrong name or password")
	// ErrSession says that a session is not, or no longer, good: log in again.
	ErrSession = errors.New("account: no valid session")
	// ErrBusy says that too many passwords are being checked just now.
	ErrBusy = errors.New("account: too many passwords are being checked")
	// ErrUnknown says that there is no such account.
	ErrUnknown = errors.New("account: no such account")
	// ErrNotKeeper says that the account has no keeper's key, or lost it with a forgotten password.
	ErrNotKeeper = errors.New("account: no keeper's key")
)

// SlowError says that a guess was not even looked at, and when to try again.
type SlowError struct{ Wait time.Duration }

// Error names the time left.
func (e *SlowError) Error() string {
	return fmt.Sprintf("account: too many wrong passwords, wait %s", e.Wait.Round(time.Second))
}

// Directory gives a look at the directory; *raftnode.Node does.
type Directory interface {
	// Directory calls fn with a view that holds until fn returns.
	Directory(fn func(directory.View) error) error
}

// Config is what Accounts needs.
type Config struct {
	// Key signs the sessions that this box issues. Required.
	Key ident.Key
	// Directory is required.
	Directory Directory
	// Hasher is required; a box has one, so that its memory is bounded.
	Hasher *Hasher
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger hears when guessing is slowed down; nil means none.
	Logger *slog.Logger
}

// Accounts answers who somebody is. It is safe for concurrent use.
type Accounts struct {
	cfg      Config
	guard    *guard
	verdicts *verdicts
	flights  singleflight.Group
	secret   [32]byte // keys verdicts; drawn at start
	nobody   []byte   // a password record that nothing matches
}

// New returns Accounts over a directory.
func New(cfg Config) (*Accounts, error) {
	if cfg.Key.IsZero() || cfg.Directory == nil || cfg.Hasher == nil {
		return nil, errors.New("account: key, directory and hasher are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Accounts{cfg: cfg, guard: newGuard(cfg.Now, cfg.Logger), verdicts: newVerdicts(cfg.Now), nobody: cfg.Hasher.nobody()}
	rand.Read(a.secret[:]) // never fails (crypto/rand, Go 1.24)
	return a, nil
}

type sourceKey struct{}

// WithSource notes from which address a request comes, for the slowing of
// guesses. Without it all requests count as from one address.
func WithSource(ctx context.Context, from netip.Addr) context.Context {
	return context.WithValue(ctx, sourceKey{}, from)
}

func sourceOf(ctx context.Context) netip.Addr {
	from, _ := ctx.Value(sourceKey{}).(netip.Addr)
	return from
}

// Login checks the account's own password and issues a session. The errors are
// ErrWrong, *SlowError, ErrBusy, ctx's, or the directory's.
func (a *Accounts) Login(ctx context.Context, name, password string) (token string, s Session, err error) {
	person, err := a.check(ctx, CleanName(name), password)
	if err != nil {
		return "", Session{}, err
	}
	token, s = a.issue(person, "")
	return token, s, nil
}

// CheckPassword returns the account if the password is its own or that of one of
// its devices. It is for doors that send the password with every request: only the
// first use of an account's own password costs a hash, a device's never does.
func (a *Accounts) CheckPassword(ctx context.Context, name, password string) (ident.AccountID, bool) {
	name = CleanName(name)
	if secret, ok := cleanDevicePassword(password); ok {
		person, _, err := a.byName(name)
		if err != nil || !matchDevice(person.Devices, secret) {
			return "", false
		}
		return person.ID, true
	}
	person, err := a.check(ctx, name, password)
	return person.ID, err == nil
}

// check finds the account and checks its own password: each new guess is counted
// before it is hashed; the same guess again, right or wrong, costs nothing.
func (a *Accounts) check(ctx context.Context, name, password string) (directory.Account, error) {
	if len(password) > maxPassword || len(name) > maxPassword {
		return directory.Account{}, ErrWrong
	}
	person, known, err := a.byName(name)
	if err != nil {
		return directory.Account{}, err
	}
	key := a.verdictKey(name, person, password)
	right, ok := a.verdicts.get(key)
	if !ok {
		right, err = a.judge(ctx, key, name, person, password)
	}
	switch {
	case err != nil:
		return directory.Account{}, err
	case !right || !known:
		return directory.Account{}, ErrWrong
	}
	return person, nil
}

// judge hashes once for all who ask the same thing at the same time. The hash goes
// on when one of them leaves.
func (a *Accounts) judge(ctx context.Context, key [32]byte, name string, person directory.Account, password string) (bool, error) {
	from := sourceOf(ctx)
	done := a.flights.DoChan(string(key[:]), func() (any, error) {
		if wait := a.guard.begin(name, from); wait > 0 {
			return false, &SlowError{wait}
		}
		record := person.Password
		if len(record) == 0 {
			record = a.nobody
		}
		right, err := a.cfg.Hasher.Check(context.WithoutCancel(ctx), record, password)
		if err != nil {
			a.guard.undo(name, from)
			return false, err
		}
		if right {
			a.guard.passed(name, from)
		}
		a.verdicts.put(key, right)
		return right, nil
	})
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case r := <-done:
		return r.Val.(bool), r.Err
	}
}

// verdictKey names a guess against one version of an account, so that a changed
// password or a removed account makes it void.
func (a *Accounts) verdictKey(name string, person directory.Account, password string) [32]byte {
	m := hmac.New(sha256.New, a.secret[:])
	for _, s := range []string{name, string(person.ID), password} {
		m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		m.Write([]byte(s))
	}
	m.Write(binary.BigEndian.AppendUint64(nil, person.Version))
	return [32]byte(m.Sum(nil))
}

func (a *Accounts) byName(name string) (person directory.Account, ok bool, err error) {
	err = a.look(func(v directory.View) { person, ok = v.AccountByName(name) })
	return person, ok, err
}

func (a *Accounts) byID(id ident.AccountID) (person directory.Account, err error) {
	var ok bool
	err = a.look(func(v directory.View) { person, ok = v.Account(id) })
	if err == nil && (!ok || person.Removed) {
		err = ErrUnknown
	}
	return person, err
}

// look takes nothing from a view that met a damaged record.
func (a *Accounts) look(fn func(directory.View)) error {
	err := a.cfg.Directory.Directory(func(v directory.View) error {
		fn(v)
		return v.Err()
	})
	if err != nil {
		return fmt.Errorf("account: look into the directory: %w", err)
	}
	return nil
}
