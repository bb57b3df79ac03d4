//! Whether it is always the same few clients that ask.

/// How many are few.
const FEW: usize = 4;

/// The clients that asked last. No other one stands here twice.
#[derive(Debug)]
pub(super) struct Regulars {
    clients: [usize; FEW],
    /// The place of the one that is forgotten next.
    next: usize,
}

impl Regulars {
    pub(super) fn new() -> Regulars {
        Regulars { clients: [usize::MAX; FEW], next: 0 }
    }

    /// Notes that `client` has asked; whether it was among the last few that did.
    pub(super) fn know(&mut self, client: usize) -> bool {
        let known = self.clients.contains(&client);
        if !known {
            self.clients[self.next] = client;
            self.next = (self.next + 1) % FEW;
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_known_and_many_never() {
        let mut regulars = Regulars::new();
        let known = |regulars: &mut Regulars, clients: usize| {
            (0..100).map(|turn| regulars.know(turn % clients)).filter(|known| *known).count()
        };
        assert_eq!(known(&mut regulars, FEW), 100 - FEW);
        assert_eq!(known(&mut Regulars::new(), FEW + 1), 0);
        assert_eq!(known(&mut regulars, 1), 100);
    }
}
