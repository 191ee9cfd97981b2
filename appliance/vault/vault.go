// Package vault keeps small secrets of the circle, such as the token for its public
// name and the keys of its certificates, where every box has them and no copy of the
// disk shows them: sealed in the circle shard, with a secret that is wrapped for each
// box alone. It has leases, too, so that only one box does a thing at a time.
//
// Each box publishes a key under ring/box/ID, signed by the box. A ring, ring/secret/N,
// holds the secret wrapped (HPKE, RFC 9180) for the boxes of that time. The newest ring
// seals; a box without a place in it is given one by any box that has. A gift that
// nobody has received gets none. Reading needs this box alone; writing, the circle.
package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode"
	"redhen/raftnode/directory"
)

// ErrLocked says that this box was not given the secret yet: another one that has it
// must be in reach once.
var ErrLocked = errors.New("vault: this box has not been given the circle's secret yet")

// ErrRefused says that the circle did not take a value; the text has the code.
var ErrRefused = errors.New("vault: the circle refused")

// MaxValue is the size of the largest value, in bytes.
const MaxValue = directory.MaxSealedValue - 128

// Node is what the vault needs of the box's node; *raftnode.Node is one.
type Node interface {
	Directory(fn func(directory.View) error) error
	Command(ctx context.Context, c directory.Command) (directory.Outcome, error)
	News() <-chan struct{}
}

var _ Node = (*raftnode.Node)(nil)

// Config is what a Vault stands on. Key and Node are needed.
type Config struct {
	Key    ident.Key
	Node   Node
	Logger *slog.Logger // nil: none
}

// Vault reads and writes the secrets. It is safe for concurrent use.
type Vault struct {
	cfg  Config
	keys *keys

	mu   sync.Mutex // guards last
	last opened
}

// opened is a ring that was opened: unwrapping costs a thousand times what the rest does.
type opened struct {
	ring   uint64
	wrap   string
	secret [32]byte
}

// New returns a Vault. It takes part in handing on the secret only while Run does.
func New(cfg Config) (*Vault, error) {
	if cfg.Key.IsZero() || cfg.Node == nil {
		return nil, errors.New("vault: key and node are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	k, err := newKeys(cfg.Key)
	return &Vault{cfg: cfg, keys: k}, err
}

// box is what is stored for a value.
type box struct {
	Ring  uint64 `cbor:"1,keyasint"`
	Nonce []byte `cbor:"2,keyasint"`
	Text  []byte `cbor:"3,keyasint"`
}

const valuesBelow = "value/"

// Get returns a value: fs.ErrNotExist when there is none, ErrLocked when this box
// cannot open it yet.
func (v *Vault) Get(name string) ([]byte, error) {
	s, err := v.sealed(valuesBelow + name)
	if err != nil {
		return nil, err
	}
	return v.open(name, s.Value)
}

func (v *Vault) sealed(name string) (s directory.Sealed, err error) {
	err = v.cfg.Node.Directory(func(view directory.View) error {
		var ok bool
		if s, ok = view.Sealed(name); !ok {
			return fs.ErrNotExist
		}
		return nil
	})
	if errors.Is(err, raftnode.ErrNoCircle) {
		err = fs.ErrNotExist
	}
	return s, err
}

func (v *Vault) open(name string, raw []byte) ([]byte, error) {
	var b box
	if err := wire.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("vault: %s: %w", name, err)
	}
	secret, err := v.secret(b.Ring)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(secret[:])
	if err != nil || len(b.Nonce) != aead.NonceSize() {
		return nil, fmt.Errorf("vault: %s: damaged", name)
	}
	plain, err := aead.Open(nil, b.Nonce, b.Text, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("vault: %s: %w", name, err)
	}
	return plain, nil
}

// Put stores a value for all boxes.
func (v *Vault) Put(ctx context.Context, name string, value []byte) error {
	if len(value) > MaxValue {
		return fmt.Errorf("vault: %s: %d bytes: %w", name, len(value), wire.ErrTooLarge)
	}
	ring, secret, err := v.newest(ctx)
	if err != nil {
		return err
	}
	return v.put(ctx, name, value, ring, secret)
}

func (v *Vault) put(ctx context.Context, name string, value []byte, ring uint64, secret [32]byte) error {
	aead, err := chacha20poly1305.NewX(secret[:])
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	b := box{Ring: ring, Nonce: make([]byte, aead.NonceSize())}
	rand.Read(b.Nonce) // never fails (crypto/rand, Go 1.24)
	b.Text = aead.Seal(nil, b.Nonce, value, []byte(name))
	return v.command(ctx, directory.Command{PutSealed: &directory.PutSealed{Name: valuesBelow + name, Value: wire.MustMarshal(b)}})
}

// Delete removes a value and all below it; it is no error when there is none.
func (v *Vault) Delete(ctx context.Context, name string) error {
	return v.command(ctx, directory.Command{DropSealed: &directory.DropSealed{Name: valuesBelow + name}})
}

// Names returns the names below one, of all values for "".
func (v *Vault) Names(below string) (names []string, err error) {
	err = v.cfg.Node.Directory(func(view directory.View) error {
		for _, n := range view.SealedNames(strings.TrimSuffix(valuesBelow+below, "/")) {
			names = append(names, strings.TrimPrefix(n, valuesBelow))
		}
		return nil
	})
	if errors.Is(err, raftnode.ErrNoCircle) {
		err = nil
	}
	return names, err
}

// Stat returns when a value was put and about how large it is, fs.ErrNotExist when
// there is none.
func (v *Vault) Stat(name string) (at time.Time, size int64, err error) {
	s, err := v.sealed(valuesBelow + name)
	return time.UnixMilli(s.Time), int64(len(s.Value)), err
}

// News is closed when something in the circle changes.
func (v *Vault) News() <-chan struct{} { return v.cfg.Node.News() }

func (v *Vault) command(ctx context.Context, c directory.Command) error {
	out, err := v.cfg.Node.Command(ctx, c)
	if err == nil && out.Code != directory.Done {
		err = fmt.Errorf("%w: %s", ErrRefused, out.Code)
	}
	return err
}
