package directory

import "redhen/provision/ident"

// newAccount makes an account, and its space when one comes along.
func (t *txn) newAccount(a Account, space *NewSpace) Code {
	switch {
	case t.meta.Accounts >= MaxAccounts:
		return Full
	case t.has(accountKey(a.ID)):
		return Exists
	case t.has(accountNameKey(a.Name)):
		return NameTaken
	case space == nil && a.Space != 0:
		return Missing
	case space != nil && (space.Space.ID != a.Space || space.Space.Owner != a.ID):
		return Invalid
	}
	a.Created, a.Devices, a.Passkeys, a.Removed = t.cmd.Time, nil, nil, false
	t.putAccount(a)
	t.putRaw(accountNameKey(a.Name), []byte(a.ID))
	t.meta.Accounts++
	t.note(Entry{What: "account-added", About: map[string]string{"account": string(a.ID), "name": a.Name}})
	if space == nil {
		return Done
	}
	return t.newSpace(*space)
}

func (t *txn) putAccount(a Account) {
	a.Version = t.index
	t.put(accountKey(a.ID), a)
}

func (t *txn) has(key []byte) bool { return t.r.Get(key) != nil }

// standing returns an account that exists and is not removed.
func (t *txn) standing(id ident.AccountID) (Account, bool) {
	a, ok := t.Account(id)
	return a, ok && !a.Removed
}

// keeps reports whether the account is the keeper of an active box.
func (t *txn) keeps(id ident.AccountID) bool {
	_, ok := t.roster.KeeperKey(id)
	return ok
}

func (p *PutAccount) apply(t *txn) Code {
	if p.If == 0 {
		return t.newAccount(p.Account, p.Space)
	}
	old, ok := t.standing(p.Account.ID)
	switch {
	case !ok:
		return Missing
	case old.Version != p.If:
		return Changed
	case p.Space != nil:
		return Invalid
	}
	return t.changeAccount(old, p.Account)
}

// changeAccount keeps what only the directory sets, and refuses what never
// changes: the login name (devices are bound to it), and the key that the roster
// knows an active box's keeper by.
func (t *txn) changeAccount(old, a Account) Code {
	switch {
	case a.Name != old.Name:
		return Invalid
	case !old.KeeperKey.Equal(a.KeeperKey) && t.keeps(old.ID):
		return Keeps
	}
	if a.Space != old.Space {
		if s, ok := t.Space(a.Space); a.Space != 0 && (!ok || s.Owner != a.ID) {
			return Missing
		}
	}
	a.Devices, a.Created, a.Removed, a.InvitedBy = old.Devices, old.Created, false, old.InvitedBy
	a.Passkeys, a.Epoch = old.Passkeys, max(a.Epoch, old.Epoch)
	t.putAccount(a)
	return Done
}

func (r *RemoveAccount) apply(t *txn) Code {
	a, ok := t.standing(r.ID)
	switch {
	case !ok:
		return Missing
	case a.Version != r.If:
		return Changed
	case t.keeps(r.ID):
		return Keeps
	}
	t.delete(accountNameKey(a.Name))
	t.meta.Accounts--
	a.Removed, a.Password, a.SealedKey, a.Devices, a.Passkeys = true, nil, nil, nil, nil
	a.Epoch++
	t.putAccount(a)
	t.note(Entry{What: "account-removed", About: map[string]string{"account": string(a.ID), "name": a.Name}})
	return Done
}

func (d *AddDevice) apply(t *txn) Code {
	a, ok := t.standing(d.Account)
	if !ok {
		return Missing
	}
	if len(a.Devices) >= MaxDevices {
		return Full
	}
	if a.device(d.Device.ID) >= 0 {
		return Exists
	}
	added := d.Device
	added.Created = t.cmd.Time
	a.Devices = append(a.Devices, added)
	t.putAccount(a)
	return Done
}

func (d *RemoveDevice) apply(t *txn) Code {
	a, ok := t.standing(d.Account)
	if !ok {
		return Missing
	}
	i := a.device(d.Device)
	if i < 0 {
		return Missing
	}
	a.Devices = append(a.Devices[:i], a.Devices[i+1:]...)
	t.putAccount(a)
	return Done
}

// device returns the place of a device in the list, -1 when it is not there.
func (a *Account) device(id string) int {
	for i := range a.Devices {
		if a.Devices[i].ID == id {
			return i
		}
	}
	return -1
}

func (i *Invite) apply(t *txn) Code {
	if _, ok := t.standing(i.By); !ok {
		return Missing
	}
	known := t.has(inviteKey(i.Hash))
	if i.Expires <= t.cmd.Time {
		return t.dropInvite(i.Hash, known)
	}
	if !known {
		t.dropExpired()
		if t.meta.Invites >= MaxInvites {
			return Full
		}
		t.meta.Invites++
	}
	made := *i
	made.Created = t.cmd.Time
	t.put(inviteKey(i.Hash), made)
	return Done
}

func (t *txn) dropInvite(hash [32]byte, known bool) Code {
	if !known {
		return Missing
	}
	t.delete(inviteKey(hash))
	t.meta.Invites--
	return Done
}

// dropExpired makes room when all places are taken.
func (t *txn) dropExpired() {
	if t.meta.Invites < MaxInvites {
		return
	}
	for _, i := range t.Invites() {
		if i.Expires <= t.cmd.Time {
			t.dropInvite(i.Hash, true)
		}
	}
}

func (u *UseInvite) apply(t *txn) Code {
	i, ok := t.Invite(u.Hash)
	switch {
	case !ok:
		return Missing
	case i.Expires <= t.cmd.Time:
		return Expired
	case i.Name != "" && i.Name != u.Account.Name:
		return Invalid
	}
	t.dropInvite(u.Hash, true)
	a := u.Account
	a.InvitedBy = i.By
	return t.newAccount(a, u.Space)
}
