package status

// Strangers says how far others than the circle's boxes help these to find each other.
type Strangers struct {
	// Allowed: they may be asked while no house can be called; Asked: they are, now.
	Allowed bool `json:"allowed"`
	Asked   bool `json:"asked"`
	// Relays are rented ones, allowed by whoever runs them, that pass on what nobody but the boxes can read.
	Relays []string `json:"relays,omitempty"`
	// Words says the same; empty when there is nothing to say.
	Words string `json:"words,omitempty"`
}

func strangersWords(f Facts) Strangers {
	s := Strangers{Allowed: f.StrangersOn, Asked: f.StrangersUsed}
	for _, r := range f.Relays {
		s.Relays = append(s.Relays, r.String())
	}
	switch {
	case s.Asked:
		s.Words = "No house can be called from the internet just now, or an invite is out. So computers of strangers help the boxes to find each other: they learn where the boxes are, and can read nothing. To do without: redhen doctor --strangers off."
	case len(s.Relays) > 0:
		s.Words = "A rented relay at " + f.Relays[0].At.String() + " passes on what finds no direct way. It can read nothing."
	case !s.Allowed && !f.Outside:
		s.Words = "No house can be called from the internet, and strangers may not help the boxes to find each other. To let them: redhen doctor --strangers on."
	}
	return s
}
