package account

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"

	"redhen/provision/ident"
	"redhen/provision/wire"
	"redhen/raftnode/directory"
)

// Realm is the realm of Digest authentication (RFC 7616) at every box. It is part
// of what is stored and never changes.
const Realm = "redhen"

// A device password is "hen-" and four groups of five of these characters: 100
// random bits, so that a fast hash hides it well, and none looks like another.
const (
	deviceAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	devicePrefix   = "hen"
	deviceGroups   = 4
	deviceGroup    = 5
)

// deviceRecord is what a directory.Device's Record holds.
type deviceRecord struct {
	Format uint8 `cbor:"1,keyasint"`
	// Sum checks the password itself (Basic).
	Sum [32]byte `cbor:"2,keyasint"`
	// Realm, MD5 and SHA256 serve Digest: the hashes of name:realm:password.
	Realm  string   `cbor:"3,keyasint"`
	MD5    [16]byte `cbor:"4,keyasint"`
	SHA256 [32]byte `cbor:"5,keyasint"`
}

// NewDevice draws a password for one program or machine of the account with that
// login name. The password is returned once and stored nowhere.
func NewDevice(name, label string) (d directory.Device, password string) {
	password = drawDevicePassword()
	ha1 := []byte(name + ":" + Realm + ":" + password)
	r := deviceRecord{
		Format: format, Sum: deviceSum(password), Realm: Realm,
		MD5:    md5.Sum(ha1), // what the protocol asks for; the password has 100 random bits
		SHA256: sha256.Sum256(ha1),
	}
	var id [4]byte
	rand.Read(id[:])
	return directory.Device{ID: hex.EncodeToString(id[:]), Name: label, Record: wire.MustMarshal(r)}, password
}

func drawDevicePassword() string {
	var random [deviceGroups * deviceGroup]byte
	rand.Read(random[:])
	groups := []string{devicePrefix}
	for i := range deviceGroups {
		var g [deviceGroup]byte
		for j := range g {
			g[j] = deviceAlphabet[random[i*deviceGroup+j]%32] // 256 is a multiple of 32: no bias
		}
		groups = append(groups, string(g[:]))
	}
	return strings.Join(groups, "-")
}

// cleanDevicePassword returns a typed device password as it was shown, false for
// anything of another shape.
func cleanDevicePassword(typed string) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	s := strings.ToLower(strings.TrimSpace(typed))
	groups := strings.Split(s, "-")
	if len(groups) != 1+deviceGroups || groups[0] != devicePrefix {
		return "", false
	}
	for _, g := range groups[1:] {
		if len(g) != deviceGroup || strings.Trim(g, deviceAlphabet) != "" {
			return "", false
		}
	}
	return s, true
}

func deviceSum(password string) [32]byte {
	return sha256.Sum256([]byte("redhen device password\x00" + password))
}

func decodeDevice(b []byte) (r deviceRecord, err error) {
	if err := decodeRecord(b, &r); err != nil {
		return r, err
	}
	if r.Format != format || len(r.Realm) > 64 {
		return r, ErrRecord
	}
	return r, nil
}

// matchDevice looks at every device, so that time tells nothing.
func matchDevice(devices []directory.Device, password string) bool {
	sum, found := deviceSum(password), 0
	for _, d := range devices {
		if r, err := decodeDevice(d.Record); err == nil {
			found |= subtle.ConstantTimeCompare(r.Sum[:], sum[:])
		}
	}
	return found == 1
}

// Algorithm is a hash of Digest authentication, as RFC 7616 names it.
type Algorithm string

// The algorithms that device passwords are stored for.
const (
	MD5    Algorithm = "MD5"
	SHA256 Algorithm = "SHA-256"
)

// Digests returns the account of a login name and, for each of its device
// passwords, the MD5 of name:realm:password in hex (HA1 of RFC 7616).
func (a *Accounts) Digests(ctx context.Context, name, realm string) (ident.AccountID, []string) {
	return a.DigestsBy(ctx, MD5, name, realm)
}

// DigestsBy is Digests with the algorithm named; none for an unknown one.
func (a *Accounts) DigestsBy(_ context.Context, alg Algorithm, name, realm string) (ident.AccountID, []string) {
	// The client hashed the name as it was typed: no cleaning here.
	person, ok, err := a.byName(name)
	if err != nil || !ok {
		return "", nil
	}
	var list []string
	for _, d := range person.Devices {
		r, err := decodeDevice(d.Record)
		if err != nil || r.Realm != realm {
			continue
		}
		switch alg {
		case MD5:
			list = append(list, hex.EncodeToString(r.MD5[:]))
		case SHA256:
			list = append(list, hex.EncodeToString(r.SHA256[:]))
		}
	}
	return person.ID, list
}
