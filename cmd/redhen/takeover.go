package main

import (
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/account"
	"redhen/appliance/api"
)

func (a *app) takeoverCommand() *cobra.Command {
	var k api.Takeover
	keep := ""
	cmd := &cobra.Command{
		Use: "takeover HOUSE...", Short: "Go on without houses that are lost for good, when too few are left to decide (a keeper's password on the input)",
		Long: "Go on without houses that are lost for good, when so many are lost that the circle can decide nothing.\n" +
			"Everything that is kept here stays. What was written in a lost house alone, after it was last heard, is gone unless its box returns.\n" +
			"If a lost house only was without power or internet, wait instead: nothing has to be decided, and this box keeps what is written meanwhile.\n" +
			"Where two houses each went on alone, redhen takeover --keep HOUSE picks the one that goes on for both; what the other one wrote comes along.",
		Args: func(cmd *cobra.Command, args []string) error {
			if keep != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.MinimumNArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need(cmd, "keeper"); err != nil {
				return err
			}
			k.Houses, k.Keeper = args, account.CleanName(k.Keeper)
			var err error
			if k.Password, err = a.password("Password of " + k.Keeper); err != nil {
				return err
			}
			if keep != "" {
				if err := a.box().Keep(cmd.Context(), api.Keep{House: keep, Keeper: k.Keeper, Password: k.Password}); err != nil {
					return err
				}
				return a.done("The side of %s goes on for both. What the other one wrote comes along as soon as they are in reach of each other; redhen status tells how far it is.", keep)
			}
			if err := a.box().TakeOver(cmd.Context(), k); err != nil {
				return err
			}
			return a.done("The circle goes on without %s. Everything that is kept here stays; one more house would make it safe again: redhen invite box.", strings.Join(args, " and "))
		},
	}
	cmd.Flags().StringVar(&k.Keeper, "keeper", "", "login name of the keeper of this box; for --keep, of either side")
	cmd.Flags().StringVar(&keep, "keep", "", "where two houses each went on alone: a house of the side that goes on")
	return cmd
}
