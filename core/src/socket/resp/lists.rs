//! Lists, which are JSON arrays.

use super::super::store::End;
use super::number;
use super::parse::Args;
use super::reply::{self, Failure, NOT_INTEGER};
use super::strings::list_failure;
use super::table::Command;
use super::{Call, Done, Flow, key, key_at, value};

impl Call<'_> {
    /// LPUSH and RPUSH.
    pub(super) fn push(&mut self, command: Command, args: &Args<'_>) -> Done {
        let end = if command == Command::LPush { End::First } else { End::Last };
        let key = key_at(args, 1)?;
        let length = if args.len() == 3 {
            let mut json = std::mem::take(&mut self.dispatch.resp.json);
            value::push_argument(&mut json, args, 2);
            let length = self.dispatch.push(key, end, &[json.as_str()]);
            self.dispatch.resp.give_back(json);
            length
        } else {
            let elements: Vec<String> = args.from(2).map(value::json).collect();
            self.dispatch.push(key, end, &elements)
        };
        reply::count(self.out, length.map_err(list_failure)?);
        Ok(Flow::Done)
    }

    /// LPOP and RPOP.
    pub(super) fn pop(&mut self, command: Command, args: &Args<'_>) -> Done {
        let end = if command == Command::LPop { End::First } else { End::Last };
        if args.len() > 3 {
            return Err(super::table::wrong_arity(command));
        }
        let count = match args.len() {
            2 => None,
            _ => {
                let count = number::integer(args.get(2)).and_then(|n| usize::try_from(n).ok());
                let text = "ERR value is out of range, must be positive";
                Some(count.ok_or(Failure::Known(text))?)
            }
        };
        let key = key_at(args, 1)?;
        let Some(count) = count else {
            let popped = self.dispatch.pop(key, end, 1).map_err(list_failure)?;
            match popped.as_deref() {
                Some([element]) => value::push_bulk(self.out, element),
                _ => reply::null(self.out),
            }
            return Ok(Flow::Done);
        };
        let present = self.dispatch.store.list(key).map_err(list_failure)?.is_some();
        if !present {
            reply::null_array(self.out);
            return Ok(Flow::Done);
        }
        let popped = self.dispatch.pop(key, end, count).map_err(list_failure)?.unwrap_or_default();
        self.dispatch.looks += popped.len();
        reply::array(self.out, popped.len());
        popped.iter().for_each(|element| value::push_bulk(self.out, element));
        Ok(Flow::Done)
    }

    pub(super) fn length_of_list(&mut self, args: &Args<'_>) -> Done {
        let list = self.dispatch.store.list(key(args.get(1))?).map_err(list_failure)?;
        let (length, looked) = list.map_or((0, 0), |list| (list.len(), list.looked_through()));
        reply::count(self.out, length);
        self.looked_at(looked);
        Ok(Flow::Done)
    }

    pub(super) fn range(&mut self, args: &Args<'_>) -> Done {
        let first = number::integer(args.get(2)).ok_or(NOT_INTEGER)?;
        let last = number::integer(args.get(3)).ok_or(NOT_INTEGER)?;
        let list = self.dispatch.store.list(key(args.get(1))?).map_err(list_failure)?;
        let Some(list) = list else {
            reply::array(self.out, 0);
            return Ok(Flow::Done);
        };
        let length = list.len();
        let from = place(first, length).unwrap_or(0);
        // Behind the last one wanted; one before the first wants none.
        let to = place(last, length).map_or(0, |last| last.saturating_add(1).min(length));
        let start = self.out.len();
        reply::array(self.out, to.saturating_sub(from));
        let looked = list.looked_through();
        for element in list.from(from).take(to.saturating_sub(from)) {
            value::push_bulk(self.out, element);
            if self.out.len() - start > super::REPLY_BYTES_MAX {
                break;
            }
        }
        self.dispatch.looks += to.saturating_sub(from);
        self.looked_at(looked);
        self.check_reply(start)?;
        Ok(Flow::Done)
    }

    pub(super) fn element(&mut self, args: &Args<'_>) -> Done {
        let list = self.dispatch.store.list(key(args.get(1))?).map_err(list_failure)?;
        let Some(list) = list else {
            reply::null(self.out);
            return Ok(Flow::Done);
        };
        let index = number::integer(args.get(2)).ok_or(NOT_INTEGER)?;
        match place(index, list.len()).and_then(|at| list.from(at).next()) {
            Some(element) => value::push_bulk(self.out, element),
            None => reply::null(self.out),
        }
        let looked = list.looked_through();
        self.looked_at(looked);
        Ok(Flow::Done)
    }
}

/// The place that an index means, from the end when it is negative; `None` before the first.
fn place(index: i64, length: usize) -> Option<usize> {
    let index = i128::from(index);
    let index = if index < 0 { index + length as i128 } else { index };
    usize::try_from(index).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_either_end() {
        assert_eq!(place(0, 3), Some(0));
        assert_eq!(place(9, 3), Some(9));
        assert_eq!(place(-1, 3), Some(2));
        assert_eq!(place(-3, 3), Some(0));
        assert_eq!(place(-4, 3), None);
        assert_eq!(place(i64::MIN, usize::MAX), Some(usize::MAX >> 1));
        assert_eq!(place(i64::MAX, 0), Some(i64::MAX as usize));
    }
}
