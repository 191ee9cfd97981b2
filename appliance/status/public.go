package status

import "time"

// PublicName is what a box knows of the name by which its circle is opened from everywhere.
type PublicName struct {
	Domain   string
	Provider string // that keeps the name, for people
	// Trouble is what the box that looks after the name found last, since Since: "token",
	// "server", "nobody", "elsewhere", "stolen", or nothing.
	Trouble string
	Since   time.Time
	// Ends is when the certificate at this box ends, zero while there is none; Late: it should
	// have been renewed some time ago.
	Ends time.Time
	Late bool
	Set  time.Time // when the name was set
}

// The codes of what keeps people from opening the circle from everywhere.
const (
	CodeNameToken     Code = "name-token"
	CodeNameStolen    Code = "name-token-stolen"
	CodeNameServer    Code = "name-not-written"
	CodeNameNobody    Code = "name-not-reached"
	CodeNameElsewhere Code = "name-elsewhere"
	CodeCertificate   Code = "certificate"
	CodeNoCertificate Code = "no-certificate"
)

// certificateIn is how long a first certificate may take.
const certificateIn = 10 * time.Minute

// publicCares are rows of the table of faults.
func publicCares() []row {
	return []row{{
		code: CodeNameStolen, weight: Care, find: findName("stolen"),
		what:  "A box that was stolen knows the token with which {domain} is led to the houses.",
		lost:  nothingLost + " Whoever has the box could lead {domain} elsewhere.",
		heals: "The certificates were changed already. The token is not: only a person can.",
		do:    "Take the old token back at {provider} and make a new one; then: redhen name set {domain}.",
		help:  "Whoever has the account at {provider}.",
	}, {
		code: CodeNameToken, weight: Care, find: findName("token"),
		what:  "Since {since}, {provider} refuses the token with which {domain} is led to the houses.",
		lost:  nothingLost + " At home everything works. From elsewhere it does, too, until a house changes its address.",
		heals: "Nothing by itself.",
		do:    "Make a new token at {provider}; then: redhen name set {domain}.",
		help:  "Whoever has the account at {provider}.",
	}, {
		code: CodeNameServer, weight: Care, find: findName("server"),
		what:  "Since {since}, {provider} cannot be reached, or fails, so that {domain} may not lead to the houses.",
		lost:  nothingLost + " At home everything works.",
		heals: "It is tried again every minute.",
		do:    "Nothing: wait. If it stays so for a day, look whether {provider} says what is wrong there.",
		help:  "Whoever has the account at {provider}.",
	}, {
		code: CodeNameNobody, weight: Care, find: findName("nobody"),
		what:  "Since {since}, nobody can open {domain} from outside: no house is reached from there at port 443.",
		lost:  nothingLost + " At home everything works.",
		heals: "As soon as one house is reached, {domain} leads there.",
		do:    "At one house, have the router pass ports 443 and 80 on to the box; or rent a small server for redhen relay.",
		help:  "Whoever looks after the internet at one of the houses.",
	}, {
		code: CodeNameElsewhere, weight: Care, find: findName("elsewhere"),
		what:  "Since {since}, {domain} does not lead to any house of the circle.",
		lost:  nothingLost + " At home everything works.",
		heals: "After a change it may take an hour until everybody knows. Else nothing by itself.",
		do:    "Look where {domain} is registered: its name servers must be those of {provider}. If the name is gone, set another one: redhen name set NAME.",
		help:  "Whoever registered {domain}.",
	}, {
		code: CodeCertificate, weight: Care, find: findCertificate,
		what:  "The certificate for {domain} ends on {ends}, and could not be renewed.",
		lost:  nothingLost + " After that day browsers warn everybody who opens {domain}.",
		heals: "It is tried again every few hours, by every box.",
		do:    "See what else is said here about {domain}; else wait.",
		help:  "Whoever set up {domain}.",
	}, {
		code: CodeNoCertificate, weight: Care, find: findNoCertificate,
		what:  "There is no certificate for {domain} yet, so browsers cannot open it.",
		lost:  nothingLost + " At home everything works.",
		heals: "It is tried again, less and less often.",
		do:    "See what else is said here about {domain}. If {domain} was registered today, wait until tomorrow.",
		help:  "Whoever set up {domain}.",
	}}
}

func (s *scene) aboutName(pairs ...string) finding {
	n := s.Public
	provider := n.Provider
	if provider == "" {
		provider = "whoever keeps the name"
	}
	return about(append([]string{"domain", n.Domain, "provider", provider, "since", When(n.Since.In(s.Now.Location()), s.Now)}, pairs...)...)
}

func findName(trouble string) func(*scene) []finding {
	return func(s *scene) []finding {
		if s.Public == nil || s.Public.Trouble != trouble {
			return nil
		}
		f := s.aboutName()
		f.since = s.Public.Since
		return []finding{f}
	}
}

func findCertificate(s *scene) []finding {
	if s.Public == nil || s.Public.Ends.IsZero() || !s.Public.Late {
		return nil
	}
	return []finding{s.aboutName("ends", s.Public.Ends.In(s.Now.Location()).Format("2 January"))}
}

func findNoCertificate(s *scene) []finding {
	if s.Public == nil || !s.Public.Ends.IsZero() || s.Now.Sub(s.Public.Set) < certificateIn || s.Now.Sub(s.Started) < certificateIn {
		return nil
	}
	return []finding{s.aboutName()}
}
